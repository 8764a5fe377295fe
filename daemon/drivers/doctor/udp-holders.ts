// Which processes have a UDP port, from /proc: sockets by port, then processes by socket.
import { readdir, readFile, readlink } from "node:fs/promises";

type PortHolder = { pid: number; command: string };

/** In this network namespace, whatever address they have bound. */
export async function udpHolders(port: number): Promise<PortHolder[]> {
  const tables = await Promise.all(
    ["/proc/net/udp", "/proc/net/udp6"].map((path) => readFile(path, "utf8").catch(() => "")),
  );
  const inodes = new Set(tables.flatMap((table) => inodesOf(table, port)));
  if (inodes.size === 0) return [];
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => holder(Number(pid), inodes)));
  return found.filter((one) => one !== undefined);
}

/** Inodes of the sockets with this local port; columns: sl, local, remote, state, queues, timer, ..., inode. */
function inodesOf(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local]) => local?.endsWith(suffix))
    .flatMap((fields) => fields[9] ?? []);
}

/** Processes may end, or be somebody else's, while one looks. */
async function holder(pid: number, inodes: ReadonlySet<string>): Promise<PortHolder | undefined> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
    const [, inode = ""] = /^socket:\[(\d+)\]$/.exec(target) ?? [];
    if (!inodes.has(inode)) continue;
    const command = (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim();
    return { pid, command: command || "a program" };
  }
  return undefined;
}
