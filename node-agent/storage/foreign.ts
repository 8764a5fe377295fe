// What ties a disk of the plan to a disk that is not in it. Nothing of that is ever touched: the step refuses,
// and says what to do.
import { type BlockNode, blockTrees, disksBelow, topDown } from "./block-tree.ts";
import { type FoundSignature, readSignatures } from "./filesystems.ts";
import { runLvm } from "./volumes.ts";
import type { StorageContext } from "./wait.ts";

/** A device that is part of something which may have parts on other disks. */
export type Member = {
  path: string;
  /** Such as "md array 1234:...", "volume group vg0"; the same for all parts. */
  group: string;
  /** What tells this part from the others: the same on a copy of the disk. */
  part: string;
  vgName?: string;
};

const memberTypes = ["linux_raid_member", "LVM2_member", "btrfs", "zfs_member"];

/** Throws if anything reaches from these disks to others, or if a group of a new one's name is on others. */
export async function refuseForeign(
  disks: string[],
  newGroups: string[],
  context: StorageContext,
): Promise<void> {
  const own = new Set(disks);
  const trees = await blockTrees([], context);
  const spanning = findSpanning(trees, own);
  if (spanning) throw new Error(spanning);
  const below = disksBelow(trees);
  const paths = topDown(trees).map(({ path }) => path);
  const members: Member[] = [];
  for (const [path, signature] of await readSignatures(paths, context)) {
    const member = await readMember(path, signature, context);
    if (member) members.push(member);
  }
  const isOwn = ({ path }: Member) => [...(below.get(path) ?? [])].every((disk) => own.has(disk));
  const fault = findSplitGroup(members, isOwn) ?? findNamesake(members, isOwn, newGroups);
  if (fault) throw new Error(fault);
}

/** An array or mapped device that runs on disks of the plan and on others. */
export function findSpanning(trees: BlockNode[], own: ReadonlySet<string>): string | undefined {
  for (const [path, disks] of disksBelow(trees)) {
    const ours = [...disks].filter((disk) => own.has(disk));
    const others = [...disks].filter((disk) => !own.has(disk));
    if (ours.length === 0 || others.length === 0) continue;
    return (
      `${path} lies on ${ours.join(", ")}, which the plan uses, and on ${others.join(", ")}, which it does not. ` +
      `Take it apart on the node, or have the scheme use ${others.length > 1 ? "those disks" : "that disk"} too.`
    );
  }
  return undefined;
}

/** What has parts on disks of the plan and on others, also while it does not run. A whole copy is no part. */
export function findSplitGroup(members: Member[], isOwn: (member: Member) => boolean): string | undefined {
  const groups = Map.groupBy(members, ({ group }) => group);
  for (const [group, parts] of groups) {
    const ours = parts.filter(isOwn);
    const copied = new Set(ours.map(({ part }) => part));
    const others = parts.filter((part) => !isOwn(part) && !(part.part && copied.has(part.part)));
    if (ours.length === 0 || others.length === 0) continue;
    const paths = (list: Member[]) => list.map(({ path }) => path).join(", ");
    return (
      `${group} has parts on ${paths(ours)}, which the plan uses, and on ${paths(others)}, which it does not. ` +
      `Wipe ${paths(others)} by hand if nobody needs it, or have the scheme use its disk too.`
    );
  }
  return undefined;
}

/** A group on other disks that has the name of a group of the plan: one of the two could not be used. */
export function findNamesake(
  members: Member[],
  isOwn: (member: Member) => boolean,
  names: string[],
): string | undefined {
  const namesake = members.find((one) => !isOwn(one) && one.vgName && names.includes(one.vgName));
  if (!namesake) return undefined;
  const { vgName, path, group } = namesake;
  return (
    `the plan makes the volume group ${vgName}, and ${path}, which is not in the plan, holds one of that name ` +
    `(${group}). Rename that one with \`vgrename\` by its UUID, or choose another name in the scheme.`
  );
}

async function readMember(
  path: string,
  { type, uuid, uuidSub }: FoundSignature,
  context: StorageContext,
): Promise<Member | undefined> {
  if (!memberTypes.includes(type) || !uuid) return undefined;
  if (type !== "LVM2_member") return { path, group: `${groupWord(type)} ${uuid}`, part: uuidSub };
  const group = await readVolumeGroup(path, context);
  if (!group) return undefined;
  return { path, group: `volume group ${group.id}`, part: uuid, vgName: group.name };
}

function groupWord(type: string): string {
  return type === "linux_raid_member" ? "md array" : type === "btrfs" ? "btrfs" : "ZFS pool";
}

/** As it stands on this device; LVM's usual reports leave out all but one of several copies. */
async function readVolumeGroup(
  device: string,
  context: StorageContext,
): Promise<{ name: string; id: string } | undefined> {
  // Code 5: it belongs to no group, or is damaged.
  const { stdout } = await runLvm(["pvck", "--dump", "metadata", device], context, [0, 5]);
  const [, name, id] = /^([\w+.-]+) \{\s*\n\s*id = "([\w-]+)"/m.exec(stdout) ?? [];
  return name && id ? { name, id } : undefined;
}
