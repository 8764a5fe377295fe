// The storage of a plan, found and started: what every step after `partition` begins with, also after the
// ramdisk was booted again.
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { assembleArray, stopArray } from "./arrays.ts";
import { type Devices, partitionDevices } from "./devices.ts";
import { type DiskFinder, lsblkDisks, matchDisks } from "./disks.ts";
import { verifyPartitions } from "./gpt.ts";
import { unmountAll } from "./mounts.ts";
import { activateGroup, deactivateGroup, volumeNode } from "./volumes.ts";
import { type StorageContext, settle } from "./wait.ts";

/** What tests put in another place. */
export type StorageOptions = { findDisks: DiskFinder; mountPoint: string };

export const machineStorage: StorageOptions = { findDisks: lsblkDisks, mountPoint: "/mnt/muster" };

/** The plan of a step; an action without one is a defect of the daemon. */
export function requirePlan(action: { plan?: DiskPlan | undefined }): DiskPlan {
  if (!action.plan) throw new Error("the step came without a disk plan. Plan and deploy again.");
  return action.plan;
}

/** Starts the arrays and volume groups of the plan and gives the node of each of its devices. */
export async function activate(
  plan: DiskPlan,
  context: StorageContext,
  options: StorageOptions,
): Promise<Devices> {
  // A step that was killed may have left its mounts.
  await unmountAll(options.mountPoint, context);
  const disks = matchDisks(plan, await options.findDisks(context.run, context.signal));
  for (const planned of plan.disks) {
    const disk = disks.get(`${planned.selector}/${planned.index}`);
    if (disk) await verifyPartitions(planned, disk.path);
  }
  const devices = partitionDevices(plan, disks);
  for (const md of plan.mds) devices.set(`md/${md.name}`, await assembleArray(md, devices, context));
  for (const vg of plan.vgs) await activateGroup(vg, context);
  for (const lv of plan.lvs) devices.set(`lv/${lv.vg}/${lv.name}`, await volumeNode(lv, context));
  return devices;
}

/** Stops what `activate` started, so that a reboot finds everything clean. */
export async function deactivate(plan: DiskPlan, devices: Devices, context: StorageContext): Promise<void> {
  for (const vg of plan.vgs) await deactivateGroup(vg, context);
  for (const md of plan.mds.toReversed()) await stopArray(md, devices, context);
  await settle(context);
  await context.run(["sync"], { signal: context.signal });
}
