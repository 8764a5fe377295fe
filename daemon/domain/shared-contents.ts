// What is destroyed on a disk of a plan may also lie on disks that are in no plan: an array or a volume group of
// both. A protected disk is never harmed that way, and any other not without a warning.
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { type ChosenDisk, describeDisk, isProtected } from "./disk-choice.ts";
import { volumeName } from "./existing.ts";
import type { Planning } from "./planning.ts";

export function sharedFaults(
  chosen: ChosenDisk[],
  inventory: Disk[],
  protectedDisks: string[],
  planning: Planning,
): void {
  const planned = new Set(chosen.map(({ disk }) => disk));
  const beyond = inventory.filter((disk) => !planned.has(disk) && disk.contents.length > 0);
  if (beyond.length === 0) return;
  for (const { disk } of chosen) {
    const kept = keptNames(disk, planning);
    const lost = new Set(disk.contents.flatMap((content) => spanOf(content, kept)));
    for (const other of beyond) {
      const shared = [...new Set(other.contents.flatMap((content) => spanOf(content, new Set())))].filter(
        (name) => lost.has(name),
      );
      if (shared.length === 0) continue;
      const what = `${shared.join(", ")} of ${describeDisk(disk)} also lies on ${describeDisk(other)}`;
      if (isProtected(other, protectedDisks)) {
        planning.refuse(`${what}, which is protected, and would be destroyed with it`);
      } else planning.warn(`${what}, which this plan does not touch: what is there becomes incomplete`);
    }
  }
}

/** What lies on both disks: arrays, volume groups, and file systems of several devices. */
export function contentsAcross(disk: Disk, other: Disk): string[] {
  const namesOn = ({ contents }: Disk) => [
    ...contents.flatMap((content) => spanOf(content, new Set())),
    // Also while it does not run.
    ...contents.flatMap(({ fsType, uuid }) =>
      uuid && memberTypes.has(fsType) ? `${memberTypes.get(fsType)} ${uuid}` : [],
    ),
  ];
  const there = new Set(namesOn(other));
  return [...new Set(namesOn(disk))].filter((name) => there.has(name));
}

/** The same uuid on every part of one. */
const memberTypes = new Map([
  ["linux_raid_member", "array"],
  ["btrfs", "btrfs"],
  ["zfs_member", "ZFS pool"],
]);

/** An array by its name, a volume by its group. */
function spanOf({ name, type }: { name: string; type: string }, kept: ReadonlySet<string>): string[] {
  if (kept.has(name)) return [];
  if (/^raid\d|^linear$/.test(type)) return [name];
  const volume = type === "lvm" ? volumeName(name) : undefined;
  return volume ? [`volume group ${volume.vg}`] : [];
}

function keptNames(disk: Disk, planning: Planning): Set<string> {
  const plan = planning.plan.disks.find(({ lastName }) => lastName === disk.name);
  const roots = new Set(plan?.before.filter(({ kept }) => kept).map(({ name }) => name));
  for (let grown = true; grown; ) {
    grown = false;
    for (const { name, parent } of disk.contents) {
      if (roots.has(parent) && !roots.has(name)) {
        roots.add(name);
        grown = true;
      }
    }
  }
  return roots;
}
