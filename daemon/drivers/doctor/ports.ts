// Check `ports`: the daemon answers where operators, nodes and firmware look for it, and nobody else sits on the
// ports of DHCP and TFTP.
import { readFile } from "node:fs/promises";
import { connect, type NetConnectOpts } from "node:net";
import { join } from "node:path";
import { type Check, fault, ok, type Surroundings, type Verdict } from "./check.ts";
import { udpHolders } from "./udp-holders.ts";

const connectTimeoutMs = 2000;
const bootPorts = [
  { port: 67, what: "DHCP" },
  { port: 69, what: "TFTP" },
];

export const ports: Check = {
  name: "ports",
  run: async (surroundings) => {
    const own = await Promise.all(listeners(surroundings).map(reach));
    const boot = surroundings.bootInterface ? await bootHolders(surroundings.stateDir) : [];
    return [...own, ...boot];
  },
};

type Listener = { what: string; where: string; options: NetConnectOpts };

function listeners({ address, ports: numbers, socketPath }: Surroundings): Listener[] {
  const tcp = (what: string, port: number) => ({
    what,
    where: `${address} port ${port}`,
    options: { host: address, port },
  });
  return [
    { what: "operators", where: socketPath, options: { path: socketPath } },
    tcp("network boot over HTTP", numbers.http),
    tcp("joining nodes", numbers.enroll),
    tcp("agents", numbers.agent),
    tcp("images", numbers.delivery),
    tcp("images over HTTP", numbers.deliveryHttp),
  ];
}

function reach({ what, where, options }: Listener): Promise<Verdict> {
  return new Promise((resolve) => {
    const socket = connect(options);
    const end = (verdict: Verdict) => {
      socket.destroy();
      resolve(verdict);
    };
    const fail = (cause: string) =>
      end(
        fault(
          `${what}: nobody answers at ${where} (${cause})`,
          "see whether this machine still has that address and a firewall lets it through, then restart the daemon",
        ),
      );
    socket.setTimeout(connectTimeoutMs, () => fail(`no answer within ${connectTimeoutMs / 1000} s`));
    socket.on("connect", () => end(ok(`${what}: ${where} answers`)));
    socket.on("error", (error) => fail(error.message));
  });
}

/** Several programs can share these ports without a word, and then answer by turns. */
async function bootHolders(stateDir: string): Promise<Verdict[]> {
  const own = Number.parseInt(
    await readFile(join(stateDir, "boot", "dnsmasq.pid"), "utf8").catch(() => ""),
    10,
  );
  const verdicts: Verdict[] = [];
  for (const { port, what } of bootPorts) {
    const holders = await udpHolders(port);
    const others = holders.filter(({ pid }) => pid !== own);
    if (others.length) {
      const names = others.map(({ pid, command }) => `${command} (pid ${pid})`).join(", ");
      verdicts.push(
        fault(
          `${what}: ${names} holds UDP port ${port} as well`,
          `stop it, or start the daemon without network boot`,
        ),
      );
    } else if (holders.length) verdicts.push(ok(`${what}: only the daemon's dnsmasq holds UDP port ${port}`));
    else {
      const remedy = "the daemon starts its dnsmasq again by itself: see its log for why that does not work";
      verdicts.push(
        fault(`${what}: nobody holds UDP port ${port}; the daemon's dnsmasq does not run`, remedy),
      );
    }
  }
  return verdicts;
}
