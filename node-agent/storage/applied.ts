// Whether this deployment has applied the plan already, to the last file system. Compares what is on the disks
// with the plan; starts arrays and groups to look into them, and writes nothing.
import {
  DiskAction,
  type DiskPlan,
  type PlannedMd,
  type PlannedVg,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SecretSource } from "../step.ts";
import { startLayer } from "./activate.ts";
import { arrayDetail, arrayDifference } from "./arrays.ts";
import { type Devices, deviceOf, deviceOfDisk, partitionDevices } from "./devices.ts";
import { diskKey, type MachineDisk } from "./disks.ts";
import { filesystemDifference, readSignature } from "./filesystems.ts";
import { type Identifiers, sameUuid } from "./identifiers.ts";
import { luksUuid } from "./luks.ts";
import { type Layer, orderLayers } from "./order.ts";
import { readTable, tableDifference } from "./tables.ts";
import { readGroup, volumeDifference } from "./volumes.ts";
import type { StorageContext } from "./wait.ts";

export type Comparison = { applied: true; devices: Devices } | { applied: false; difference: string };

/** With the devices of the plan, started, if it is applied; otherwise with the first difference. */
export async function compare(
  plan: DiskPlan,
  disks: ReadonlyMap<string, MachineDisk>,
  ids: Identifiers,
  context: StorageContext,
  secrets: SecretSource,
): Promise<Comparison> {
  for (const planned of plan.disks) {
    const table = await readTable(deviceOfDisk(disks, diskKey(planned)).path, context);
    const difference = tableDifference(planned, table, ids);
    if (difference) return { applied: false, difference };
  }
  const devices = partitionDevices(plan, disks);
  try {
    for (const layer of orderLayers(plan)) {
      await startLayer(layer, devices, context, secrets);
      const difference = await layerDiffers(layer, plan, devices, ids, context);
      if (difference) return { applied: false, difference };
    }
  } catch (error) {
    // Every table is as planned, and yet something of it does not start.
    if (context.signal.aborted || !(error instanceof Error)) throw error;
    return { applied: false, difference: error.message };
  }
  const difference = await filesystemsDiffer(plan, devices, ids, context);
  return difference ? { applied: false, difference } : { applied: true, devices };
}

async function layerDiffers(
  layer: Layer,
  plan: DiskPlan,
  devices: Devices,
  ids: Identifiers,
  context: StorageContext,
): Promise<string | undefined> {
  switch (layer.kind) {
    case "md":
      return arrayDiffers(layer.md, devices, ids, context);
    case "luks": {
      const { name, device, action } = layer.luks;
      if (action === DiskAction.KEEP) return undefined;
      const uuid = await luksUuid(deviceOf(devices, device), context);
      return sameUuid(uuid, ids.uuid(`luks/${name}`)) ? undefined : `luks ${name} has another UUID`;
    }
    case "vg":
      return groupDiffers(layer.vg, plan, devices, ids, context);
    case "lv":
      return undefined; // seen with its group
  }
}

async function arrayDiffers(
  md: PlannedMd,
  devices: Devices,
  ids: Identifiers,
  context: StorageContext,
): Promise<string | undefined> {
  const name = `md/${md.name}`;
  const detail = await arrayDetail(deviceOf(devices, name), context);
  const difference = arrayDifference(md, detail);
  if (difference || md.action === DiskAction.KEEP) return difference;
  if (!sameUuid(detail.uuid, ids.uuid(name))) return `md ${md.name} has another UUID`;
  return detail.name && detail.name !== md.name ? `md ${md.name} has the name ${detail.name}` : undefined;
}

async function groupDiffers(
  vg: PlannedVg,
  plan: DiskPlan,
  devices: Devices,
  ids: Identifiers,
  context: StorageContext,
): Promise<string | undefined> {
  const group = await readGroup(vg, devices, context);
  for (const device of vg.devices) {
    const uuid = group.physicalVolumes.get(deviceOf(devices, device));
    if (!uuid) return `volume group ${vg.name} has no part on ${device}`;
    if (vg.action !== DiskAction.KEEP && uuid !== ids.physicalVolume(device))
      return `the physical volume of ${device} has another UUID`;
  }
  const left = vg.removes.find((name) => group.volumes.some(({ lv_name }) => lv_name === name));
  if (left) return `volume ${vg.name}/${left} is still there`;
  for (const lv of plan.lvs.filter((one) => one.vg === vg.name)) {
    const difference = volumeDifference(lv, group);
    if (difference) return difference;
  }
  return undefined;
}

async function filesystemsDiffer(
  plan: DiskPlan,
  devices: Devices,
  ids: Identifiers,
  context: StorageContext,
): Promise<string | undefined> {
  const imaged = imageDevices(plan);
  for (const fs of plan.fss) {
    const kept = fs.action === DiskAction.KEEP;
    // Root is what the image step makes of it.
    if (!kept && imaged.includes(fs.device)) continue;
    for (const name of [fs.device, ...fs.copies]) {
      const found = await readSignature(deviceOf(devices, name), context);
      const difference = filesystemDifference(fs, name, found, kept ? undefined : ids);
      if (difference) return difference;
    }
  }
  return undefined;
}

/** The devices that get an image: those of `/`, and what a role has further images for. */
export function imageDevices({ rootDevice, systems, fss }: DiskPlan): string[] {
  const roots = systems.length > 0 ? systems.map((system) => system.rootDevice) : [rootDevice];
  return [...roots, ...fss.filter(({ fromImage }) => fromImage).map(({ device }) => device)];
}
