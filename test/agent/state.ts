// What is on a machine's disks in the end, in words that are the same wherever it was made.
import type { MachineDisk } from "../../node-agent/storage/disks.ts";
import type { LoopMachine } from "./loop.ts";

type Lsblk = { path: string; type: string; children?: Lsblk[] };

/** Tables with all their identifiers, and every signature on every device that lies on the disks. */
export async function describeState(machine: LoopMachine, disks = machine.disks): Promise<string[]> {
  const lines: string[] = [];
  for (const disk of disks) {
    const name = (path: string) => path.replace(disk.path, disk.serial).replace(/^\/dev\/md\d+$/, "md");
    lines.push(...(await describeTable(machine, disk)));
    const { stdout } = await machine.run(["lsblk", "-J", "-o", "PATH,TYPE", disk.path]);
    const { blockdevices } = JSON.parse(stdout) as { blockdevices: Lsblk[] };
    for (const { path, type } of flatten(blockdevices)) {
      const probe = ["blkid", "-p", "-o", "export", path] as const;
      const found = (await machine.run(probe, { okCodes: [0, 2, 8] })).stdout;
      const words = found.split("\n").filter((line) => /^(TYPE|UUID|LABEL|PTTYPE|PTUUID)=/.test(line));
      lines.push(`${name(path)} ${type}: ${words.sort().join(" ")}`);
    }
  }
  // The kernel lists partitions in the order in which it has learnt of them.
  return lines.sort();
}

async function describeTable(machine: LoopMachine, disk: MachineDisk): Promise<string[]> {
  const { stdout } = await machine.run(["sfdisk", "--json", disk.path], { okCodes: [0, 1] });
  return stdout
    .split("\n")
    .map((line) => line.trim().replaceAll(disk.path, disk.serial))
    .filter((line) => /"(id|label|node)"/.test(line));
}

function flatten(nodes: Lsblk[]): Lsblk[] {
  return nodes.flatMap((node) => [node, ...flatten(node.children ?? [])]);
}
