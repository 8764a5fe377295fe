// Before and after a wipe: that nothing on the disks reaches beyond them, and that nothing is left on them.
import type { BlockNode } from "./release.ts";
import type { StorageContext } from "./wait.ts";

/** Throws if an array or volume lies on one of these disks and on another: stopping it would change that one. */
export async function refuseShared(disks: string[], context: StorageContext): Promise<void> {
  const trees = await blockTrees([], context);
  const owners = new Map<string, Set<string>>();
  for (const tree of trees) {
    for (const { path } of holders(tree)) owners.set(path, (owners.get(path) ?? new Set()).add(tree.path));
  }
  for (const [holder, on] of owners) {
    const ours = disks.filter((disk) => on.has(disk));
    const others = [...on].filter((disk) => !disks.includes(disk));
    if (ours.length === 0 || others.length === 0) continue;
    throw new Error(
      `${holder} lies on ${ours.join(", ")} and also on ${others.join(", ")}, which is not to be wiped. Take ` +
        "it apart on the node, then retry the step.",
    );
  }
}

/** Throws if the kernel or a signature still shows anything on the disk. */
export async function verifyEmpty(disk: string, context: StorageContext): Promise<void> {
  const [tree] = await blockTrees([disk], context);
  const left = (tree?.children ?? []).map(({ path, type }) => `${path} (${type})`);
  const { stdout } = await context.run(["wipefs", "--no-act", "--noheadings", "--output", "TYPE", disk], {
    signal: context.signal,
  });
  left.push(...stdout.split("\n").filter(Boolean));
  if (left.length === 0) return;
  throw new Error(`${disk} is not empty after the wipe: ${left.join(", ")}. Retry the step.`);
}

/** Everything above a disk that may lie on several: all but its partitions. */
function holders(node: BlockNode): BlockNode[] {
  return (node.children ?? []).flatMap((child) => [
    ...(child.type === "part" ? [] : [child]),
    ...holders(child),
  ]);
}

async function blockTrees(disks: string[], { run, signal }: StorageContext): Promise<BlockNode[]> {
  const { stdout } = await run(["lsblk", "-J", "-o", "NAME,PATH,TYPE,MOUNTPOINTS", ...disks], { signal });
  return (JSON.parse(stdout) as { blockdevices: BlockNode[] }).blockdevices;
}
