// What is destroyed on a disk of a plan may also lie on disks that are in no plan: an array or a volume group of
// both. A protected disk is never harmed that way, and any other not without a warning.
import type { Disk, DiskContent } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { isMarked } from "../../proto/plan/disk-mark.ts";
import { type ChosenDisk, describeDisk } from "./disk-choice.ts";
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
    const lost = disk.contents.filter(({ name }) => !kept.has(name));
    for (const other of beyond) {
      const shared = spansAcross(lost, other.contents);
      if (shared.length === 0) continue;
      const what = `${shared.join(", ")} of ${describeDisk(disk)} also lies on ${describeDisk(other)}`;
      if (isMarked(other, protectedDisks)) {
        planning.refuse(`${what}, which is protected, and would be destroyed with it`);
      } else planning.warn(`${what}, which this plan does not touch: what is there becomes incomplete`);
    }
  }
}

/** What lies on both disks: arrays, volume groups, and file systems of several devices. */
export function contentsAcross(disk: Disk, other: Disk): string[] {
  return spansAcross(disk.contents, other.contents);
}

function spansAcross(contents: DiskContent[], others: DiskContent[]): string[] {
  const there = new Set(others.flatMap(spansOf));
  return [...new Set(contents.flatMap(spansOf))].filter((name) => there.has(name));
}

/** The same uuid on every part of one. */
const memberTypes = new Map([
  ["linux_raid_member", "array"],
  ["btrfs", "btrfs"],
  ["zfs_member", "ZFS pool"],
]);

/** An array by its name, a volume by its group, and what does not run by the uuid of its parts. */
function spansOf({ name, type, fsType, uuid }: DiskContent): string[] {
  const spans: string[] = [];
  if (/^raid\d|^linear$/.test(type)) spans.push(name);
  const volume = type === "lvm" ? volumeName(name) : undefined;
  if (volume) spans.push(`volume group ${volume.vg}`);
  const member = memberTypes.get(fsType);
  if (member && uuid) spans.push(`${member} ${uuid}`);
  return spans;
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
