// Partition tables: what is on a disk now, what the plan makes of it, and whether the kernel sees it so.
import { access, readFile } from "node:fs/promises";
import {
  DiskAction,
  type PlannedDisk,
  type PlannedPartition,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { kernelName, partitionPath } from "./devices.ts";
import { diskKey } from "./disks.ts";
import { gptTypeGuid, sgdiskCommand } from "./gpt.ts";
import { type Identifiers, sameUuid } from "./identifiers.ts";
import { sfdiskScript } from "./msdos.ts";
import { type FoundTable, isRewritten, partitionName, samePlace } from "./table-changes.ts";
import { type StorageContext, settle, waitFor } from "./wait.ts";

type SfdiskJson = {
  partitiontable: {
    label: string;
    id?: string;
    partitions?: {
      node: string;
      start: number;
      size: number;
      type: string;
      uuid?: string;
      bootable?: boolean;
    }[];
  };
};

/** The table that is on the disk; nothing if there is none that can be read. */
export async function readTable(
  disk: string,
  { run, signal }: StorageContext,
): Promise<FoundTable | undefined> {
  // Code 1: there is no table.
  const { code, stdout } = await run(["sfdisk", "--json", disk], { signal, okCodes: [0, 1] });
  if (code !== 0) return undefined;
  const { partitiontable } = JSON.parse(stdout) as SfdiskJson;
  const partitions = (partitiontable.partitions ?? []).map((found) => ({
    number: Number(/\d+$/.exec(found.node)?.[0] ?? 0),
    firstLba: BigInt(found.start),
    lastLba: BigInt(found.start) + BigInt(found.size) - 1n,
    type: found.type.toLowerCase(),
    uuid: found.uuid ?? "",
    active: found.bootable ?? false,
  }));
  const label = partitiontable.label === "dos" ? "msdos" : partitiontable.label;
  return { label, id: partitiontable.id ?? "", partitions };
}

/** Writes the table, or its changes, and waits until the kernel has every partition of the plan. */
export async function writeTable(
  planned: PlannedDisk,
  disk: string,
  ids: Identifiers,
  context: StorageContext,
): Promise<void> {
  const { run, signal } = context;
  const stays = planned.table === DiskAction.KEEP ? await readTable(disk, context) : undefined;
  if (planned.label === "msdos") {
    const input = sfdiskScript(planned, disk, ids, stays);
    await run(sfdiskCommand(disk), { signal, input });
  } else {
    await run(sgdiskCommand(planned, disk, ids, stays), { signal });
  }
  await run(updateCommand(disk), { signal });
  await settle(context);
  for (const { number } of planned.partitions) {
    const path = partitionPath(disk, number);
    const failure = `${path} did not appear within 10 s after the partition table was written. See dmesg.`;
    await waitFor(async () => ((await exists(path)) ? path : undefined), failure, signal);
  }
}

/** Reads the new table from its standard input. */
export function sfdiskCommand(disk: string): [string, ...string[]] {
  return ["sfdisk", ...quietly, "--wipe=never", disk];
}

/** partx does the telling. */
const quietly = ["--no-reread", "--no-tell-kernel"];

/**
 * partx tells the kernel partition by partition, so it needs no kernel that reads the table by itself. Without the
 * range it stops at the number of partitions, and misses logical ones.
 */
export function updateCommand(disk: string): [string, ...string[]] {
  return ["partx", "--update", "--nr", "1:128", disk];
}

/**
 * Sets the table's own identifier, the last write of an apply: who finds it there knows that everything before it
 * was done. The partitions keep their identifiers, and so the table of another system in a table that stays.
 */
export async function markApplied(
  planned: PlannedDisk,
  disk: string,
  ids: Identifiers,
  { run, signal }: StorageContext,
): Promise<void> {
  const command = markCommand(planned, disk, ids);
  if (command) await run(command, { signal });
}

/** Nothing where the disk cannot carry the mark, or nothing was written to its table. */
export function markCommand(
  planned: PlannedDisk,
  disk: string,
  ids: Identifiers,
): [string, ...string[]] | undefined {
  if (!isMarkable(planned)) return undefined;
  return ["sfdisk", ...quietly, "--disk-id", disk, appliedMark(planned, ids)];
}

/** A kept msdos table has no room for a mark: its identifier is part of what its partitions are found by. */
function isMarkable(planned: PlannedDisk): boolean {
  return isRewritten(planned) && !(planned.label === "msdos" && planned.table === DiskAction.KEEP);
}

function appliedMark(planned: PlannedDisk, ids: Identifiers): string {
  const name = `disk/${diskKey(planned)}`;
  return planned.label === "msdos" ? `0x${ids.serial(name)}` : ids.uuid(name).toUpperCase();
}

/** Why the table is not the finished one of this deployment; nothing if it is. */
export function tableDifference(
  planned: PlannedDisk,
  found: FoundTable | undefined,
  ids: Identifiers,
): string | undefined {
  const name = `disk ${diskKey(planned)}`;
  const label = planned.label || "gpt";
  if (found?.label !== label) return `${name} has ${found ? `a table of type ${found.label}` : "no table"}`;
  if (isMarkable(planned) && found.id.toLowerCase() !== appliedMark(planned, ids).toLowerCase()) {
    return `${name} does not carry the mark of this deployment`;
  }
  if (isRewritten(planned) && !isMarkable(planned)) return `${name} cannot carry a mark`;
  for (const partition of planned.partitions) {
    const actual = found.partitions.find(({ number }) => number === partition.number);
    if (!actual || !samePlace(actual, partition)) return `${name}: partition ${partition.number} differs`;
    if (partition.action === DiskAction.KEEP) continue;
    if (actual.type !== wantedType(partition, label).toLowerCase())
      return `${name}: the type of partition ${partition.number} differs`;
    if (label === "gpt" && !sameUuid(actual.uuid, ids.uuid(partitionName(planned, partition))))
      return `${name}: the GUID of partition ${partition.number} differs`;
  }
  const extra =
    planned.table !== DiskAction.KEEP && found.partitions.length !== planned.partitions.length
      ? `${name} has ${found.partitions.length} partitions`
      : undefined;
  return extra;
}

function wantedType({ typeCode }: PlannedPartition, label: string): string {
  return label === "gpt" ? gptTypeGuid(typeCode) : typeCode;
}

/** Throws if the kernel's idea of the partitions is not the plan's. */
export async function verifyPartitions(planned: PlannedDisk, disk: string): Promise<void> {
  // sysfs counts in 512 bytes, whatever the disk's sectors are.
  const units = BigInt(planned.logicalSectorBytes || 512) / 512n;
  for (const { number, firstLba, lastLba, kind } of planned.partitions) {
    const path = partitionPath(disk, number);
    const start = await sysfsNumber(kernelName(path), "start");
    const size = await sysfsNumber(kernelName(path), "size");
    const expected = [firstLba * units, (lastLba - firstLba + 1n) * units];
    // Of an extended partition the kernel shows no more than the first sectors.
    if (start === expected[0] && (size === expected[1] || kind === "extended")) continue;
    throw new Error(
      `${path}: the kernel has it at ${start} with ${size} units of 512 bytes, the plan at ${expected[0]} ` +
        `with ${expected[1]}. Retry the step; if it stays so, something else uses ${disk}.`,
    );
  }
}

async function sysfsNumber(name: string, attribute: string): Promise<bigint> {
  try {
    return BigInt((await readFile(`/sys/class/block/${name}/${attribute}`, "utf8")).trim());
  } catch {
    throw new Error(`/dev/${name}: the kernel has no such partition. Run the partition step again.`);
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
