// What a plan changes in a partition table, compared with what is on the disk: pure.
import {
  DiskAction,
  type PlannedDisk,
  type PlannedPartition,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { diskKey } from "./disks.ts";

export type FoundPartition = {
  number: number;
  firstLba: bigint;
  lastLba: bigint;
  type: string;
  uuid: string;
  active: boolean;
};
export type FoundTable = { label: string; id: string; partitions: FoundPartition[] };

/** Whether anything is written to this disk's table. */
export function isRewritten(planned: PlannedDisk): boolean {
  return (
    planned.table !== DiskAction.KEEP || planned.removes.length > 0 || createdPartitions(planned).length > 0
  );
}

export function createdPartitions(planned: PlannedDisk): PlannedPartition[] {
  return planned.partitions.filter(({ action }) => action !== DiskAction.KEEP);
}

export function partitionName(planned: PlannedDisk, partition: Pick<PlannedPartition, "name">): string {
  return `partition/${diskKey(planned)}/${partition.name}`;
}

/** Numbers of the partitions that go from a table that stays: those to be removed, and those of an earlier attempt. */
export function outgoing(planned: PlannedDisk, found: FoundTable): number[] {
  if (planned.table !== DiskAction.KEEP) return [];
  const doomed = [...planned.removes, ...createdPartitions(planned)].map(({ number }) => number);
  return found.partitions.filter(({ number }) => doomed.includes(number)).map(({ number }) => number);
}

export function samePlace(
  a: { firstLba: bigint; lastLba: bigint },
  b: { firstLba: bigint; lastLba: bigint },
): boolean {
  return a.firstLba === b.firstLba && a.lastLba === b.lastLba;
}
