// Check `certificates`: the daemon's own ones are valid now, and for some time to come.
import { X509Certificate } from "node:crypto";
import { type Check, fault, ok, type Verdict, warning } from "./check.ts";

const dayMs = 24 * 3600_000;
const soonDays = 30;

export const certificates: Check = {
  name: "certificates",
  run: async ({ certificates: own, now }) =>
    own.map(({ name, pem }) => judge(name, new X509Certificate(pem), now())),
};

function judge(name: string, certificate: X509Certificate, nowMs: number): Verdict {
  const { validFromDate, validToDate } = certificate;
  const days = Math.floor((validToDate.getTime() - nowMs) / dayMs);
  const until = validToDate.toISOString().slice(0, 10);
  if (nowMs < validFromDate.getTime()) {
    const from = validFromDate.toISOString();
    return fault(
      `${name} is valid only from ${from}, which is to come: this clock is behind`,
      "set the clock, by NTP",
    );
  }
  const remedy = `restart the daemon: it makes a new one for itself; the CA's lasts as long as its state directory`;
  if (days < 0) return fault(`${name} has not been valid since ${until}`, remedy);
  return days < soonDays
    ? warning(`${name} is valid for ${days} more days`, remedy)
    : ok(`${name} is valid until ${until}`);
}
