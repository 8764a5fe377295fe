// Step `partition`: empties the disks of the plan and makes its partitions, arrays, volumes and file systems.
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Step } from "../step.ts";
import { machineStorage, requirePlan, type StorageOptions } from "../storage/activate.ts";
import { createArray } from "../storage/arrays.ts";
import { type Devices, deviceOf, deviceOfDisk, partitionDevices } from "../storage/devices.ts";
import { diskKey, type MachineDisk, matchDisks } from "../storage/disks.ts";
import { mkfsCommand } from "../storage/filesystems.ts";
import { verifyPartitions, writePartitionTable } from "../storage/gpt.ts";
import { unmountAll } from "../storage/mounts.ts";
import { wipeDisk, wipeSignatures } from "../storage/release.ts";
import { describeStorage, verifyStorage } from "../storage/verify.ts";
import { createVolume, createVolumeGroup } from "../storage/volumes.ts";
import { type StorageContext, settle } from "../storage/wait.ts";

export const partition = createPartitionStep();

export function createPartitionStep(options: StorageOptions = machineStorage): Step<"partition"> {
  return async (action, context) => {
    const plan = requirePlan(action);
    await unmountAll(options.mountPoint, context);
    // All disks are found before any is touched.
    const disks = matchDisks(plan, await options.findDisks(context.run, context.signal));
    await writeTables(plan, disks, context, (activity) => context.progress({ activity }));
    const devices = partitionDevices(plan, disks);
    for (const md of plan.mds) {
      context.progress({ activity: `creating array ${md.name}` });
      devices.set(`md/${md.name}`, await createArray(md, devices, context));
    }
    for (const vg of plan.vgs) {
      context.progress({ activity: `creating volume group ${vg.name}` });
      await createVolumeGroup(vg, devices, context);
    }
    for (const lv of plan.lvs) devices.set(`lv/${lv.vg}/${lv.name}`, await createVolume(lv, context));
    await makeFilesystems(plan, devices, context, (activity) => context.progress({ activity }));
    await settle(context);
    for (const planned of plan.disks)
      await verifyPartitions(planned, deviceOfDisk(disks, diskKey(planned)).path);
    return describeStorage(plan, await verifyStorage(plan, devices, context));
  };
}

async function writeTables(
  plan: DiskPlan,
  disks: ReadonlyMap<string, MachineDisk>,
  context: StorageContext,
  show: (activity: string) => void,
): Promise<void> {
  const work = plan.disks.map((planned) => ({ planned, disk: deviceOfDisk(disks, diskKey(planned)).path }));
  // All are wiped before a table is written, as an old array or group may lie on several of them.
  for (const { disk } of work) {
    show(`wiping ${disk}`);
    await wipeDisk(disk, context);
  }
  for (const { planned, disk } of work) {
    show(`partitioning ${disk}`);
    await writePartitionTable(planned, disk, context);
    await verifyPartitions(planned, disk);
  }
  // A new partition may begin where an older layout had a file system or an array.
  const partitions = [...partitionDevices(plan, disks).values()];
  if (partitions.length > 0) await wipeSignatures(partitions, context);
}

/** All but root, which comes with the image. */
async function makeFilesystems(
  plan: DiskPlan,
  devices: Devices,
  context: StorageContext,
  show: (activity: string) => void,
): Promise<void> {
  for (const fs of plan.fss) {
    if (fs.device === plan.rootDevice) continue;
    for (const name of [fs.device, ...fs.copies]) {
      const device = deviceOf(devices, name);
      show(`making ${fs.type} on ${device}`);
      await context.run(mkfsCommand(fs, device), { signal: context.signal });
    }
  }
}
