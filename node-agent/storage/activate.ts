// The storage of a plan, found and started: what every step after `partition` begins with, also after the
// ramdisk was booted again.
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SecretSource, StepContext } from "../step.ts";
import { assembleArray, stopArray } from "./arrays.ts";
import { type Devices, deviceOf, deviceOfDisk, partitionDevices } from "./devices.ts";
import { type DiskFinder, diskKey, lsblkDisks, matchDisks } from "./disks.ts";
import { closeLuks, openLuks } from "./luks.ts";
import { unmountAll } from "./mounts.ts";
import { type Layer, orderLayers } from "./order.ts";
import { verifyPartitions } from "./tables.ts";
import { activateGroup, deactivateGroup, volumeNode } from "./volumes.ts";
import { type StorageContext, settle } from "./wait.ts";

/** What tests put in another place. */
export type StorageOptions = { findDisks: DiskFinder; mountPoint: string };

export const machineStorage: StorageOptions = {
  findDisks: lsblkDisks,
  mountPoint: "/mnt/muster",
};

/** The plan of a step; an action without one is a defect of the daemon. */
export function requirePlan(action: { plan?: DiskPlan | undefined }): DiskPlan {
  if (!action.plan) throw new Error("the step came without a disk plan. Plan and deploy again.");
  return action.plan;
}

/** Starts everything of the plan and gives the node of each of its devices, the disks themselves among them. */
export async function activate(
  plan: DiskPlan,
  context: StorageContext & Pick<StepContext, "secrets">,
  options: StorageOptions,
): Promise<Devices> {
  // A step that was killed may have left its mounts.
  await unmountAll(options.mountPoint, context);
  const disks = matchDisks(plan, await options.findDisks(context.run, context.signal));
  for (const planned of plan.disks) {
    await verifyPartitions(planned, deviceOfDisk(disks, diskKey(planned)).path);
  }
  const devices = partitionDevices(plan, disks);
  for (const [key, { path }] of disks) devices.set(`disk/${key}`, path);
  for (const layer of orderLayers(plan)) await startLayer(layer, devices, context, context.secrets);
  return devices;
}

/** Starts one layer and enters its node. */
export async function startLayer(
  layer: Layer,
  devices: Map<string, string>,
  context: StorageContext,
  secrets: SecretSource,
): Promise<void> {
  switch (layer.kind) {
    case "md":
      devices.set(`md/${layer.md.name}`, await assembleArray(layer.md, devices, context));
      return;
    case "luks": {
      const { name, device } = layer.luks;
      const below = deviceOf(devices, device);
      devices.set(`luks/${name}`, await openLuks(layer.luks, below, secrets, context));
      return;
    }
    case "vg":
      await activateGroup(layer.vg, devices, context);
      return;
    case "lv":
      // Nothing lies on a pool but its volumes.
      if (layer.lv.type === "thin_pool") return;
      devices.set(`lv/${layer.lv.vg}/${layer.lv.name}`, await volumeNode(layer.lv, context));
      return;
  }
}

/** Stops what `activate` started, so that a reboot finds everything clean. */
export async function deactivate(plan: DiskPlan, devices: Devices, context: StorageContext): Promise<void> {
  for (const layer of orderLayers(plan).reverse()) {
    if (layer.kind === "luks") await closeLuks(layer.luks, context);
    if (layer.kind === "vg") await deactivateGroup(layer.vg, devices, context);
    if (layer.kind === "md") await stopArray(layer.md, devices, context);
  }
  await settle(context);
  await context.run(["sync"], { signal: context.signal });
}
