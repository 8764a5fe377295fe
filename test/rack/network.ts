// The rack's network: a namespace of its own with one bridge, on which every machine has a tap. It cannot
// be reached from the host's network, nor reach it.
import { existsSync, statSync } from "node:fs";
import { run } from "./command.ts";
import { bridge, hostAddress, type MachineLayout, namespace } from "./layout.ts";
import { commandLine, namesDirectory, pidsInNamespace, recordOf, stopProcess } from "./processes.ts";

const namespaceFile = `/run/netns/${namespace}`;

export function networkExists(): boolean {
  return existsSync(namespaceFile);
}

export function inNamespace(argv: readonly string[]): string[] {
  return ["ip", "netns", "exec", namespace, ...argv];
}

export async function networkUp(machines: MachineLayout[]): Promise<void> {
  const ip = (...words: string[]) => run(["ip", "-n", namespace, ...words]);
  await run(["ip", "netns", "add", namespace]);
  await ip("link", "set", "lo", "up");
  // Without spanning tree and its delay: a machine that asks at once must be heard.
  await ip("link", "add", bridge, "type", "bridge", "stp_state", "0", "forward_delay", "0");
  await ip("addr", "add", `${hostAddress}/24`, "dev", bridge);
  // iPXE waits 13 s for an IPv6 router; the daemon's dnsmasq can only be one with an address.
  await ip("addr", "add", "fd77::1/64", "dev", bridge, "nodad");
  await ip("link", "set", bridge, "up");
  for (const { tap } of machines) {
    await ip("tuntap", "add", "dev", tap, "mode", "tap");
    await ip("link", "set", tap, "master", bridge, "up");
  }
}

/** Ends what still runs in the namespace for this rack, then removes it with its bridge and taps. */
export async function networkDown(stateDir: string, log: (line: string) => void): Promise<void> {
  if (!networkExists()) return;
  for (const pid of pidsInNamespace(statSync(namespaceFile, { bigint: true }).ino)) {
    const command = commandLine(pid);
    const record = recordOf(command.slice(0, 60), pid);
    if (!record) continue;
    if (namesDirectory(command, stateDir)) await stopProcess(record, stateDir, 3_000);
    else
      log(
        `pid ${pid} (${command.slice(0, 60)}) is in the rack's network but not the rack's; it is left alone`,
      );
  }
  await run(["ip", "netns", "delete", namespace]);
}
