// Takes everything that uses a disk of the plan off it, and wipes what could bring it back. Only devices that lie
// on these disks are named to any program: no scan stops or starts what lies elsewhere.
import { type BlockNode, blockTrees, topDown } from "./block-tree.ts";
import { type StorageContext, settle, withRetry } from "./wait.ts";

export type ReleaseAction =
  | { kind: "swapoff"; device: string }
  | { kind: "umount"; mountPoint: string }
  | { kind: "remove-mapping"; name: string }
  | { kind: "stop-array"; device: string };

/** What has to be done to free the disks, in this order: what lies on top first. */
export function planRelease(disks: BlockNode[]): ReleaseAction[] {
  const nodes = topDown(disks);
  const mountPoints = nodes.flatMap((node) => usesOf(node).filter((use) => use !== "[SWAP]"));
  const swaps = nodes.filter((node) => usesOf(node).includes("[SWAP]"));
  const actions: ReleaseAction[] = swaps.map((node) => ({ kind: "swapoff", device: node.path }));
  // A mount point is always longer than the one that it lies in.
  for (const mountPoint of [...new Set(mountPoints)].sort((a, b) => b.length - a.length)) {
    actions.push({ kind: "umount", mountPoint });
  }
  for (const node of nodes) {
    // Volumes, opened LUKS devices and multipath maps alike. Not by their own programs: those look for the
    // metadata, which may be gone, damaged, or on another disk as well.
    if (node.path.startsWith("/dev/mapper/")) actions.push({ kind: "remove-mapping", name: node.name });
    else if (/^md\d/.test(node.name) && node.type !== "part") {
      actions.push({ kind: "stop-array", device: node.path });
    }
  }
  return actions;
}

function usesOf(node: BlockNode): string[] {
  return (node.mountpoints ?? []).filter((use) => use !== null);
}

/** Stops everything that uses the disks. What lies on them stays as it is. */
export async function freeDisks(disks: string[], context: StorageContext): Promise<BlockNode[]> {
  const trees = await blockTrees(disks, context);
  const actions = planRelease(trees);
  if (actions.length === 0) return trees;
  for (const action of actions) await release(action, context);
  await settle(context);
  const freed = await blockTrees(disks, context);
  const [left] = planRelease(freed);
  if (left)
    throw new Error(
      `${disks.join(", ")}: still in use after the release (${Object.values(left).join(" ")}). See lsblk on the node.`,
    );
  return freed;
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
    case "remove-mapping":
      // As for LVM: the ramdisk's udev has no rules for device-mapper and would leave the node behind.
      await run(["dmsetup", "remove", "--retry", action.name], { signal, env: { DM_DISABLE_UDEV: "1" } });
      return;
    case "stop-array":
      await settle(context);
      await withRetry(() => run(["mdadm", "--stop", action.device], { signal }), signal);
      return;
  }
}

/** Where boot code may lie: the MBR, and what GRUB puts between it and the first partition. */
const bootBytes = 1 << 20;

/** Frees the disk and removes every signature on it and its partitions, its partition table and its boot code. */
export async function wipeDisk(disk: string, context: StorageContext): Promise<void> {
  const [tree] = await freeDisks([disk], context);
  if (tree) await wipeFreed(tree, context);
}

/** The same for a disk that nothing uses. */
export async function wipeFreed(tree: BlockNode, context: StorageContext): Promise<void> {
  const partitions = (tree.children ?? []).map((partition) => partition.path);
  // The partitions first: without its table they would no longer be seen.
  if (partitions.length > 0) await wipeSignatures(partitions, context);
  await wipeSignatures([tree.path], context);
  await context.run(bootCodeCommand(tree.path), { signal: context.signal });
}

/** Writes zeros where boot code may lie. */
export function bootCodeCommand(disk: string): [string, ...string[]] {
  return ["blkdiscard", "--force", "--zeroout", "--offset", "0", "--length", String(bootBytes), disk];
}

/** Removes the signatures of arrays, file systems, LVM and partition tables; if a device is in use, it says so. */
export async function wipeSignatures(devices: string[], context: StorageContext): Promise<void> {
  const { run, signal } = context;
  await withRetry(() => run(["wipefs", "--all", ...devices], { signal }), signal);
}
