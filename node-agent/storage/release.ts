// Takes everything that uses a disk of the plan off it, and wipes what could bring it back.

import { volumeGroupOf } from "./devices.ts";
import { runLvm } from "./volumes.ts";
import { type StorageContext, settle, withRetry } from "./wait.ts";

/** A device and what lies on it, as `lsblk -J` has it. */
export type BlockNode = {
  name: string;
  path: string;
  type: string;
  mountpoints?: (string | null)[];
  children?: BlockNode[];
};

export type ReleaseAction =
  | { kind: "swapoff"; device: string }
  | { kind: "umount"; mountPoint: string }
  | { kind: "deactivate"; vg: string }
  | { kind: "stop-array"; device: string };

/** What has to be done to free the disk, in this order: what lies on top first. */
export function planRelease(disk: BlockNode): ReleaseAction[] {
  const nodes = topDown(disk);
  const mountPoints = nodes.flatMap((node) => usesOf(node).filter((use) => use !== "[SWAP]"));
  const swaps = nodes.filter((node) => usesOf(node).includes("[SWAP]"));
  const actions: ReleaseAction[] = swaps.map((node) => ({ kind: "swapoff", device: node.path }));
  // A mount point is always longer than the one that it lies in.
  for (const mountPoint of [...new Set(mountPoints)].sort((a, b) => b.length - a.length)) {
    actions.push({ kind: "umount", mountPoint });
  }
  const holders = nodes.map((node): ReleaseAction | undefined => {
    if (node.type === "lvm") return { kind: "deactivate", vg: volumeGroupOf(node.name) };
    if (/^raid|^linear$/.test(node.type)) return { kind: "stop-array", device: node.path };
    return undefined;
  });
  const seen = new Set<string>();
  for (const action of holders) {
    if (!action || seen.has(JSON.stringify(action))) continue;
    seen.add(JSON.stringify(action));
    actions.push(action);
  }
  return actions;
}

/** Every node that something may lie on, those on top first. */
function topDown(node: BlockNode): BlockNode[] {
  return [...(node.children ?? []).flatMap(topDown), node];
}

function usesOf(node: BlockNode): string[] {
  return (node.mountpoints ?? []).filter((use) => use !== null);
}

/** Frees the disk and removes every signature on it and its partitions, and its partition table. */
export async function wipeDisk(disk: string, context: StorageContext): Promise<void> {
  const tree = await freeDisk(await blockTree(disk, context), context);
  const partitions = (tree.children ?? []).map((partition) => partition.path);
  // The partitions first: without its table they would no longer be seen.
  if (partitions.length > 0) await wipeSignatures(partitions, context);
  await wipeSignatures([disk], context);
  // Code 2: there was no sound table to destroy.
  await context.run(["sgdisk", "--zap-all", disk], { signal: context.signal, okCodes: [0, 2] });
}

/** Stops everything that uses the disk; gives the disk as it is then. */
async function freeDisk(disk: BlockNode, context: StorageContext): Promise<BlockNode> {
  const actions = planRelease(disk);
  if (actions.length === 0 && mappingsOf(disk).length === 0) return disk;
  for (const action of actions) {
    if (action.kind !== "stop-array") await release(action, context);
  }
  await removeMappings(await blockTree(disk.path, context), context);
  // Arrays last: only now nothing lies on them.
  for (const action of planRelease(await blockTree(disk.path, context))) await release(action, context);
  await settle(context);
  return blockTree(disk.path, context);
}

async function release(action: ReleaseAction, context: StorageContext): Promise<void> {
  const { run, signal } = context;
  switch (action.kind) {
    case "swapoff":
      await run(["swapoff", action.device], { signal });
      return;
    case "umount":
      await run(["umount", "--recursive", action.mountPoint], { signal });
      return;
    case "deactivate":
      // Code 5: LVM no longer knows the group, as one of its disks is wiped or gone; removeMappings ends it.
      await runLvm(["vgchange", "--activate", "n", action.vg], context, [0, 5]);
      return;
    case "stop-array":
      await settle(context);
      await withRetry(() => run(["mdadm", "--stop", action.device], { signal }), signal);
      return;
  }
}

/** Device-mapper devices that no volume group or tool claims any more: the rest of an interrupted wipe. */
async function removeMappings(tree: BlockNode, context: StorageContext): Promise<void> {
  const mappings = mappingsOf(tree);
  if (mappings.length === 0) return;
  for (const name of mappings) {
    await context.run(["dmsetup", "remove", "--retry", name], { signal: context.signal });
  }
  // Links such as /dev/vg0/root would make a new group of that name fail.
  await runLvm(["vgscan", "--mknodes"], context, [0, 5]);
}

function mappingsOf(tree: BlockNode): string[] {
  const nodes = topDown(tree).filter((node) => node.path.startsWith("/dev/mapper/"));
  return [...new Set(nodes.map((node) => node.name))];
}

/** Removes md superblocks and the signatures of file systems, LVM and partition tables. */
export async function wipeSignatures(devices: string[], context: StorageContext): Promise<void> {
  const { run, signal } = context;
  // Codes 1 and 2: there is no md superblock on one. If it is in use, wipefs says so.
  await run(["mdadm", "--zero-superblock", "--force", ...devices], { signal, okCodes: [0, 1, 2] });
  await withRetry(() => run(["wipefs", "--all", ...devices], { signal }), signal);
}

async function blockTree(disk: string, { run, signal }: StorageContext): Promise<BlockNode> {
  const { stdout } = await run(["lsblk", "-J", "-o", "NAME,PATH,TYPE,MOUNTPOINTS", disk], { signal });
  const { blockdevices } = JSON.parse(stdout) as { blockdevices: BlockNode[] };
  const [tree] = blockdevices;
  if (!tree) throw new Error(`lsblk does not know ${disk}. Is the disk gone? Take the inventory again.`);
  return tree;
}
