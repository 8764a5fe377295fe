// What the kernel shows of a plan's arrays and volumes after they were made.
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { findArray } from "./arrays.ts";
import { formatBytes } from "./bytes.ts";
import { type Devices, deviceOf } from "./devices.ts";
import type { StorageContext } from "./wait.ts";

/** The state of each array, such as "[UU]", in the order of the plan. */
export type StorageFacts = { arrays: string[] };

/** Throws where an array or volume is not what the plan says. */
export async function verifyStorage(
  plan: DiskPlan,
  devices: Devices,
  context: StorageContext,
): Promise<StorageFacts> {
  const arrays: string[] = [];
  for (const md of plan.mds) {
    const path = deviceOf(devices, `md/${md.name}`);
    const array = await findArray(md.devices.map((name) => deviceOf(devices, name)));
    if (array?.path !== path || array.level !== `raid${md.level}` || !array.complete) {
      const shown = array ? `${array.path} is ${array.level} and ${array.state}` : "it does not run";
      throw new Error(`md ${md.name}: ${shown}, not a complete raid${md.level} on ${path}. Retry the step.`);
    }
    const size = await sizeOf(path, context);
    if (size < md.sizeBytes) {
      throw new Error(
        `md ${md.name}: ${path} has ${size} bytes, the plan counts on ${md.sizeBytes}. Plan again.`,
      );
    }
    arrays.push(`[${"U".repeat(md.devices.length)}]`);
  }
  for (const lv of plan.lvs) {
    const path = deviceOf(devices, `lv/${lv.vg}/${lv.name}`);
    const size = await sizeOf(path, context);
    if (size !== lv.sizeBytes) {
      throw new Error(`${path} has ${size} bytes, the plan says ${lv.sizeBytes}. Plan again.`);
    }
  }
  return { arrays };
}

export async function sizeOf(device: string, { run, signal }: StorageContext): Promise<bigint> {
  return BigInt((await run(["blockdev", "--getsize64", device], { signal })).stdout.trim());
}

/** "2 disks: gpt bios+esp+os; md os raid1 [UU]; vg0: root 3.0 GiB, swap 256 MiB". */
export function describeStorage(plan: DiskPlan, facts: StorageFacts): string {
  const layouts = plan.disks.map((disk) => disk.partitions.map((partition) => partition.name).join("+"));
  const disks = `${plan.disks.length} ${plan.disks.length === 1 ? "disk" : "disks"}`;
  const arrays = plan.mds.map((md, index) => `md ${md.name} raid${md.level} ${facts.arrays[index] ?? ""}`);
  const groups = plan.vgs.map((vg) => {
    const volumes = plan.lvs.filter((lv) => lv.vg === vg.name);
    return `${vg.name}: ${volumes.map((lv) => `${lv.name} ${formatBytes(lv.sizeBytes)}`).join(", ")}`;
  });
  return [`${disks}: gpt ${[...new Set(layouts)].join(" and ")}`, ...arrays, ...groups].join("; ");
}
