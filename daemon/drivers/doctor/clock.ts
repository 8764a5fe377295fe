// Check `clock`: certificates of nodes begin now by this clock, and nodes compare theirs with it.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { errorCode } from "../files.ts";
import { type Check, ok, skipped, type Verdict, warning } from "./check.ts";

const run = promisify(execFile);
const timeoutMs = 5000;

export const clock: Check = {
  name: "clock",
  run: async ({ now }) => [await synchronised(new Date(now()).toISOString())],
};

async function synchronised(time: string): Promise<Verdict> {
  const remedy = "have it set by NTP, for example by systemd-timesyncd or chrony";
  try {
    const { stdout } = await run("timedatectl", ["show", "--property=NTPSynchronized", "--property=NTP"], {
      timeout: timeoutMs,
      env: { ...process.env, LC_ALL: "C" },
    });
    return clockVerdict(stdout, time);
  } catch (error) {
    const cause = errorCode(error) === "ENOENT" ? "there is no timedatectl" : "timedatectl does not answer";
    return skipped(`it is ${time}; whether NTP sets the clock is not known: ${cause}`, remedy);
  }
}

/** From `NTP=yes` and `NTPSynchronized=no`. */
export function clockVerdict(shown: string, time: string): Verdict {
  if (/^NTPSynchronized=yes$/m.test(shown)) return ok(`it is ${time}, and the clock is set by NTP`);
  const why = /^NTP=yes$/m.test(shown) ? "its NTP service has not reached a server" : "no NTP service is on";
  return warning(
    `it is ${time}, and nothing sets the clock: ${why}`,
    "timedatectl set-ntp true, and give it a server that this machine reaches",
  );
}
