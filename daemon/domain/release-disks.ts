// Which disks of a node a release erases, which it leaves as they are and why, and what stands against it. Only what
// Muster has written is erased, and never what is protected, shared, or one part of something whose rest stays.
import { create } from "@bufbuild/protobuf";
import { type LeftDisk, LeftDiskSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { isMarked } from "../../proto/plan/disk-mark.ts";
import { describeDisk } from "./disk-choice.ts";
import { describeFate } from "./disk-contents.ts";
import type { DiskOwners } from "./disk-owners.ts";
import { contentsAcross } from "./shared-contents.ts";

type Rules = { protectedDisks: string[]; skip: readonly string[]; owners: DiskOwners };
type Sorted = { erased: PlannedDisk[]; left: LeftDisk[]; faults: string[] };

/** `written` are the disks of its newest deployment. */
export function sortDisks(node: Node, written: readonly PlannedDisk[], rules: Rules): Sorted {
  const disks = node.inventory?.disks ?? [];
  const erased: PlannedDisk[] = [];
  const left: LeftDisk[] = [];
  const faults: string[] = [];
  const stays: Disk[] = [];
  const goes: Disk[] = [];
  for (const planned of written) {
    if (!disks.some((disk) => isSame(planned, disk)))
      left.push(leave(planned, "", "not in the machine any more"));
  }
  for (const disk of disks) {
    const planned = written.find((one) => isSame(one, disk));
    const why = whyLeft(disk, planned, rules);
    if (why || !planned) {
      left.push(leave(disk, disk.name, why));
      stays.push(disk);
      continue;
    }
    const fault = faultOf(disk, node, rules);
    if (fault) faults.push(fault);
    goes.push(disk);
    const { destroys } = describeFate(disk, () => false);
    erased.push({ ...planned, partitions: [], lastName: disk.name, destroys });
  }
  faults.push(...goes.flatMap((disk) => tornFaults(disk, stays)));
  if (!erased.length) faults.push(nothingLeft(left));
  return { erased, left, faults };
}

function isSame(planned: PlannedDisk, { serial, wwn }: Disk): boolean {
  return planned.serial === serial && planned.wwn === wwn;
}

function leave(disk: Disk | PlannedDisk, name: string, reason: string): LeftDisk {
  const { serial, wwn, model, sizeBytes } = disk;
  return create(LeftDiskSchema, { name, serial, wwn, model, sizeBytes, reason });
}

/** Why the disk is none of a release's business, or nothing. */
function whyLeft(disk: Disk, planned: PlannedDisk | undefined, { skip, protectedDisks }: Rules): string {
  if (isMarked(disk, skip)) return "skipped, as you asked";
  if (planned) return "";
  return isMarked(disk, protectedDisks) ? "protected" : "Muster has not written to it";
}

/** Why a disk that Muster has written to must not be erased, or nothing. */
function faultOf(disk: Disk, node: Node, { protectedDisks, owners }: Rules): string | undefined {
  const skipIt = `\`--skip ${disk.serial || disk.wwn}\` leaves it as it is`;
  if (isMarked(disk, protectedDisks)) {
    return `${describeDisk(disk)} is protected now: take it off protected_disks, or ${skipIt}`;
  }
  if (disk.multipathMember) {
    return `${describeDisk(disk)} is a path of a multipath disk, which may be shared: it is never erased; ${skipIt}`;
  }
  const others = owners.othersWith(disk, node.name);
  if (!others.length) return undefined;
  const names = others.length > 3 ? `${others.slice(0, 3).join(", ")}, ...` : others.join(", ");
  return (
    `${describeDisk(disk)} is also in the inventory of ${names}: a shared disk is never erased; ${skipIt}. If it was ` +
    `moved, start ${others.length > 1 ? "those nodes" : names} once more, so that the inventory is what is there`
  );
}

/** An array or a volume group of which only a part would be erased: the agent would refuse that as well. */
function tornFaults(disk: Disk, stays: Disk[]): string[] {
  return stays.flatMap((other) => {
    const shared = contentsAcross(disk, other);
    if (!shared.length) return [];
    const what = `${shared.join(", ")} of ${describeDisk(disk)} also lies on ${describeDisk(other)}`;
    return [`${what}, which would be left as it is: leave both, or take it apart on the node first`];
  });
}

function nothingLeft(left: LeftDisk[]): string {
  const reasons = left.map(({ name, serial, wwn, reason }) => `${name || serial || wwn}: ${reason}`);
  return `no disk would be erased, and it would be set free as it is (${reasons.join("; ")})`;
}
