// msdos partition tables (MBR), by sfdisk, to the sector.
import { DiskAction, type PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { partitionPath } from "./devices.ts";
import type { Identifiers } from "./identifiers.ts";
import { createdPartitions, type FoundTable, outgoing } from "./table-changes.ts";

/** The whole table as sfdisk reads it. What stays of an older table is written again as it was. */
export function sfdiskScript(
  planned: PlannedDisk,
  disk: string,
  ids: Identifiers,
  stays: FoundTable | undefined,
): string {
  const line = (number: number, firstLba: bigint, lastLba: bigint, type: string, active: boolean) =>
    `${partitionPath(disk, number)} : start=${firstLba}, size=${lastLba - firstLba + 1n}, type=${type}` +
    (active ? ", bootable" : "");
  const gone = stays ? outgoing(planned, stays) : [];
  const kept = (stays?.partitions ?? []).filter(({ number }) => !gone.includes(number));
  const lines = [
    ...kept.map((found) => ({
      number: found.number,
      text: line(found.number, found.firstLba, found.lastLba, found.type, found.active),
    })),
    ...createdPartitions(planned).map(({ number, firstLba, lastLba, typeCode, active }) => ({
      number,
      text: line(number, firstLba, lastLba, typeCode, active),
    })),
  ].sort((a, b) => a.number - b.number);
  // Another identifier than the finished table has: see markApplied.
  const id =
    planned.table === DiskAction.KEEP && stays
      ? stays.id
      : `0x${ids.serial(`unfinished/${planned.selector}/${planned.index}`)}`;
  return ["label: dos", `label-id: ${id}`, "unit: sectors", "", ...lines.map(({ text }) => text), ""].join(
    "\n",
  );
}
