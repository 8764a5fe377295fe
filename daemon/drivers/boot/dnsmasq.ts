// dnsmasq as the daemon's child: what it needs before it can start, what it says while it runs.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { ChildStartError, superviseChild } from "../child.ts";
import { errorCode, writeFileAtomic } from "../files.ts";
import { type DnsmasqOptions, dnsmasqConf } from "./dnsmasq-conf.ts";

const tftpPort = 69;

export type DhcpEvent = {
  kind: "discover" | "offer" | "request" | "ack" | "nak";
  mac: string;
  /** The address offered or given; empty for a discover. */
  address: string;
};

/** Throws an error with the cause and the remedy if dnsmasq does not come up. */
export async function startDnsmasq(
  options: DnsmasqOptions & { confFile: string },
  onDhcp: (event: DhcpEvent) => void,
  log: Logger,
): Promise<AsyncDisposable> {
  await endPredecessor(options.pidFile, options.confFile);
  await writeFileAtomic(options.confFile, dnsmasqConf(options));
  try {
    await assertFree(options.address, tftpPort);
    return await superviseChild({
      command: "dnsmasq",
      args: ["-k", "-C", options.confFile, "--user=root", "--log-facility=-"],
      log,
      isReady: (line) => line.includes(": started, version"),
      onLine: (line) => {
        log.debug(line);
        const event = parseDhcpEvent(line);
        if (event) onDhcp(event);
      },
    });
  } catch (error) {
    throw new Error(`network boot on ${options.interface}: ${startFault(error, options.interface)}`, {
      cause: error,
    });
  }
}

/** An event from a line such as `dnsmasq-dhcp: 3182 DHCPACK(br0) 10.77.0.100 52:54:00:77:00:10 n1`. */
export function parseDhcpEvent(line: string): DhcpEvent | undefined {
  const match =
    /DHCP(DISCOVER|OFFER|REQUEST|ACK|NAK)\(\S+\) (?:([\d.]+) )?([0-9a-f]{2}(?::[0-9a-f]{2}){5})\b/.exec(line);
  if (!match) return undefined;
  const [, kind = "", address = "", mac = ""] = match;
  return { kind: kind.toLowerCase() as DhcpEvent["kind"], mac, address: kind === "DISCOVER" ? "" : address };
}

/** Puts iPXE where machines without it fetch it. */
export async function makeTftpRoot(directory: string, ipxeDirectory = "/usr/lib/ipxe"): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const name of ["undionly.kpxe", "snponly.efi"]) {
    try {
      await copyFile(join(ipxeDirectory, name), join(directory, name));
    } catch (cause) {
      if (errorCode(cause) !== "ENOENT") throw cause;
      throw new Error(`${join(ipxeDirectory, name)} is missing; install the package ipxe`, { cause });
    }
  }
}

export function startFault(error: unknown, networkInterface: string): string {
  if (!(error instanceof Error)) return String(error);
  if (errorCode(error) === "EADDRNOTAVAIL")
    return `${error.message}; give ${networkInterface} that address first`;
  if (errorCode(error.cause) === "ENOENT")
    return "dnsmasq is not installed; install the package dnsmasq-base";
  const said = error instanceof ChildStartError ? error.lines.join("\n") : error.message;
  if (/Address already in use|EADDRINUSE/.test(said)) {
    return (
      "another DHCP or TFTP server holds port 67 or 69 (see: ss -ulpn 'sport = 67 or sport = 69'); stop it, or " +
      "start the daemon without network boot"
    );
  }
  if (/unknown interface|No such device/.test(said)) {
    return `there is no interface ${networkInterface} here; see: ip link`;
  }
  if (/permission denied|Operation not permitted|EACCES/i.test(said))
    return "not allowed; run the daemon as root";
  return error.message;
}

// Several dnsmasq share their ports without a word and then answer by turns: look before starting one more.
async function assertFree(address: string, port: number): Promise<void> {
  const probe = createSocket("udp4");
  try {
    probe.bind({ address, port, exclusive: true });
    await once(probe, "listening");
  } finally {
    probe.close();
  }
}

// A daemon that was killed could not stop its dnsmasq, which then still holds the ports. The pid file may be
// stale: only a process that runs with our configuration file is ended.
async function endPredecessor(pidFile: string, confFile: string): Promise<void> {
  const pid = Number.parseInt(await readFile(pidFile, "utf8").catch(() => ""), 10);
  if (!(await runsWith(pid, confFile))) return;
  process.kill(pid, "SIGTERM");
  for (let tries = 0; tries < 100 && (await runsWith(pid, confFile)); tries++) await delay(20);
}

async function runsWith(pid: number, confFile: string): Promise<boolean> {
  if (!Number.isInteger(pid)) return false;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return commandLine.split("\0").includes(confFile);
}
