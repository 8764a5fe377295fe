// Partition tables: written by sgdisk to the sector, then seen by the kernel as written.
import { access, readFile } from "node:fs/promises";
import type { PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { kernelName, partitionPath } from "./devices.ts";
import { type StorageContext, settle, waitFor } from "./wait.ts";

/** The command that writes the table of this disk. */
export function sgdiskCommand(planned: PlannedDisk, disk: string): [string, ...string[]] {
  // Alignment 1, as sgdisk otherwise moves sectors that the plan has chosen.
  const args = ["--clear", "--set-alignment=1"];
  for (const { number, firstLba, lastLba, typeCode, name } of planned.partitions) {
    args.push(
      `--new=${number}:${firstLba}:${lastLba}`,
      `--typecode=${number}:${typeCode}`,
      `--change-name=${number}:${name}`,
    );
  }
  return ["sgdisk", ...args, disk];
}

export async function writePartitionTable(
  planned: PlannedDisk,
  disk: string,
  context: StorageContext,
): Promise<void> {
  const { run, signal } = context;
  await run(sgdiskCommand(planned, disk), { signal });
  // partx tells the kernel partition by partition, so it needs no kernel that reads GPT by itself.
  await run(["partx", "--update", disk], { signal });
  await settle(context);
  for (const { number } of planned.partitions) {
    const path = partitionPath(disk, number);
    const failure = `${path} did not appear within 10 s after the partition table was written. See dmesg.`;
    await waitFor(async () => ((await exists(path)) ? path : undefined), failure, signal);
  }
}

/** Throws if the kernel's idea of the partitions is not the plan's. */
export async function verifyPartitions(planned: PlannedDisk, disk: string): Promise<void> {
  // sysfs counts in 512 bytes, whatever the disk's sectors are.
  const units = BigInt(planned.logicalSectorBytes || 512) / 512n;
  for (const { number, firstLba, lastLba } of planned.partitions) {
    const path = partitionPath(disk, number);
    const start = await sysfsNumber(kernelName(path), "start");
    const size = await sysfsNumber(kernelName(path), "size");
    const expected = [firstLba * units, (lastLba - firstLba + 1n) * units];
    if (start !== expected[0] || size !== expected[1]) {
      throw new Error(
        `${path}: the kernel has it at ${start} with ${size} units of 512 bytes, the plan at ${expected[0]} ` +
          `with ${expected[1]}. Retry the step; if it stays so, something else uses ${disk}.`,
      );
    }
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
