// GPT, by sgdisk, to the sector.
import { DiskAction, type PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Identifiers } from "./identifiers.ts";
import { createdPartitions, type FoundTable, outgoing, partitionName } from "./table-changes.ts";

/** The command that writes the table of this disk, or changes the one that stays. */
export function sgdiskCommand(
  planned: PlannedDisk,
  disk: string,
  ids: Identifiers,
  stays: FoundTable | undefined,
): [string, ...string[]] {
  // Alignment 1, as sgdisk otherwise moves sectors that the plan has chosen.
  const args = planned.table === DiskAction.KEEP ? ["--set-alignment=1"] : ["--clear", "--set-alignment=1"];
  if (stays) args.push(...outgoing(planned, stays).map((number) => `--delete=${number}`));
  for (const partition of createdPartitions(planned)) {
    const { number, firstLba, lastLba, typeCode, name, legacyBoot } = partition;
    args.push(
      `--new=${number}:${firstLba}:${lastLba}`,
      `--typecode=${number}:${typeCode}`,
      `--change-name=${number}:${name}`,
      `--partition-guid=${number}:${ids.uuid(partitionName(planned, partition))}`,
    );
    if (legacyBoot) args.push(`--attributes=${number}:set:2`);
  }
  return ["sgdisk", ...args, disk];
}

const typeGuids: Record<string, string> = {
  "8200": "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",
  "8300": "0fc63daf-8483-4772-8e79-3d69d8477de4",
  "8309": "ca7d7ccb-63ed-4c53-861c-1742536059cc",
  "8e00": "e6d6d379-f507-44c2-a23c-238f2a3df928",
  ef00: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
  ef02: "21686148-6449-6e6f-744e-656564454649",
  fd00: "a19d880f-05fc-4d3b-a006-743f0f84911e",
};

/** The GUID of a type that a plan has, which may be a GUID already. */
export function gptTypeGuid(typeCode: string): string {
  return typeGuids[typeCode.toLowerCase()] ?? typeCode.toLowerCase();
}
