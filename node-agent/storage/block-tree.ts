// What lies on what: the kernel's view of disks, partitions, arrays and mapped devices, and the disks below each.
import type { StorageContext } from "./wait.ts";

/** A device and what lies on it, as `lsblk -J` has it. */
export type BlockNode = {
  name: string;
  path: string;
  type: string;
  mountpoints?: (string | null)[];
  children?: BlockNode[];
};

/** The trees of these disks, or of every disk of the machine. */
export async function blockTrees(
  disks: string[],
  { run, signal }: Pick<StorageContext, "run" | "signal">,
): Promise<BlockNode[]> {
  const { stdout } = await run(["lsblk", "-J", "-o", "NAME,PATH,TYPE,MOUNTPOINTS", ...disks], { signal });
  const { blockdevices } = JSON.parse(stdout) as { blockdevices: BlockNode[] };
  const absent = disks.find((disk) => !blockdevices.some(({ path }) => path === disk));
  if (absent) throw new Error(`lsblk does not know ${absent}. Is the disk gone? Take the inventory again.`);
  return blockdevices;
}

/** Every device of the trees once, those on top first. */
export function topDown(trees: BlockNode[]): BlockNode[] {
  const seen = new Map<string, BlockNode>();
  const visit = (node: BlockNode) => {
    for (const child of node.children ?? []) visit(child);
    if (!seen.has(node.path)) seen.set(node.path, node);
  };
  for (const tree of trees) visit(tree);
  return [...seen.values()];
}

/** For every device, the disks that it lies on; a disk lies on itself. */
export function disksBelow(trees: BlockNode[]): Map<string, Set<string>> {
  const below = new Map<string, Set<string>>();
  for (const tree of trees) {
    for (const { path } of topDown([tree])) below.set(path, (below.get(path) ?? new Set()).add(tree.path));
  }
  return below;
}
