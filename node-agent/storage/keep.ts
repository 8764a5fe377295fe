// What the plan keeps, looked at before anything is changed: it must be there exactly as planned, and nothing
// that the plan did not see may be where something is to be made.
import { DiskAction, type DiskPlan, type PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SecretSource } from "../step.ts";
import { startLayer } from "./activate.ts";
import { arrayDetail, arrayDifference } from "./arrays.ts";
import { deviceOf, deviceOfDisk, partitionPath } from "./devices.ts";
import { diskKey, type MachineDisk } from "./disks.ts";
import { filesystemDifference, readSignature } from "./filesystems.ts";
import { type Identifiers, sameUuid } from "./identifiers.ts";
import { type Layer, orderLayers } from "./order.ts";
import { createdPartitions, type FoundTable, partitionName, samePlace } from "./table-changes.ts";
import { readTable } from "./tables.ts";
import { readGroup, volumeDifference, volumesToRemove } from "./volumes.ts";
import type { StorageContext } from "./wait.ts";

const remedy = "Nothing was changed. Take the inventory of the node again, and plan again.";

/** Throws where what is kept differs from the plan. Starts what is kept, and writes nothing. */
export async function checkKept(
  plan: DiskPlan,
  disks: ReadonlyMap<string, MachineDisk>,
  ids: Identifiers,
  context: StorageContext,
  secrets: SecretSource,
): Promise<void> {
  const devices = new Map<string, string>();
  for (const planned of plan.disks.filter(({ table }) => table === DiskAction.KEEP)) {
    const { path } = deviceOfDisk(disks, diskKey(planned));
    const fault = keptTableFault(planned, await readTable(path, context), ids);
    if (fault) throw new Error(`disk ${diskKey(planned)} (${path}): ${fault}. ${remedy}`);
    for (const partition of planned.partitions.filter(({ action }) => action === DiskAction.KEEP)) {
      devices.set(partitionName(planned, partition), partitionPath(path, partition.number));
    }
  }
  for (const layer of orderLayers(plan)) {
    if (!isKept(layer)) continue;
    await startLayer(layer, devices, context, secrets);
    const fault = await layerFault(layer, plan, devices, context);
    if (fault) throw new Error(`${fault}. ${remedy}`);
  }
  for (const fs of plan.fss.filter(({ action }) => action === DiskAction.KEEP)) {
    const found = await readSignature(deviceOf(devices, fs.device), context);
    const fault = filesystemDifference(fs, fs.device, found);
    if (fault) throw new Error(`${fault}. ${remedy}`);
  }
}

export function isKept(layer: Layer): boolean {
  switch (layer.kind) {
    case "md":
      return layer.md.action === DiskAction.KEEP;
    case "luks":
      return layer.luks.action === DiskAction.KEEP;
    case "vg":
      return layer.vg.action === DiskAction.KEEP;
    case "lv":
      return layer.lv.action === DiskAction.KEEP;
  }
}

/** Why a table that stays is not the one that the plan was made for; nothing if it is. */
export function keptTableFault(
  planned: PlannedDisk,
  found: FoundTable | undefined,
  ids: Identifiers,
): string | undefined {
  const label = planned.label || "gpt";
  if (found?.label !== label)
    return `its table is ${found?.label ?? "gone"}, the plan keeps one of type ${label}`;
  const known = new Set<number>();
  for (const partition of planned.partitions.filter(({ action }) => action === DiskAction.KEEP)) {
    const actual = found.partitions.find(({ number }) => number === partition.number);
    known.add(partition.number);
    if (!actual) return `partition ${partition.number}, which the plan keeps, is not there`;
    if (!samePlace(actual, partition))
      return `partition ${partition.number} lies at ${actual.firstLba} to ${actual.lastLba}, the plan keeps one at ${partition.firstLba} to ${partition.lastLba}`;
  }
  for (const actual of found.partitions.filter(({ number }) => !known.has(number))) {
    const removed = planned.removes.find(({ number }) => number === actual.number);
    if (removed && samePlace(actual, removed)) continue;
    // Made by an attempt of this deployment that was interrupted. An msdos table has no GUIDs: there only its
    // exact place tells.
    const again = createdPartitions(planned).find(({ number }) => number === actual.number);
    const ours =
      again && (label === "gpt" ? sameUuid(actual.uuid, ids.uuid(partitionName(planned, again))) : true);
    if (again && ours && samePlace(actual, again)) continue;
    const inTheWay = [...planned.removes, ...createdPartitions(planned)].some(
      (one) =>
        one.number === actual.number || (one.firstLba <= actual.lastLba && actual.firstLba <= one.lastLba),
    );
    if (inTheWay)
      return `partition ${actual.number} at ${actual.firstLba} to ${actual.lastLba} is not in the plan`;
  }
  return undefined;
}

async function layerFault(
  layer: Layer,
  plan: DiskPlan,
  devices: ReadonlyMap<string, string>,
  context: StorageContext,
): Promise<string | undefined> {
  if (layer.kind === "md") {
    return arrayDifference(layer.md, await arrayDetail(deviceOf(devices, `md/${layer.md.name}`), context));
  }
  if (layer.kind !== "vg") return undefined;
  const { vg } = layer;
  const group = await readGroup(vg, devices, context);
  const absent = vg.devices.find((device) => !group.physicalVolumes.has(deviceOf(devices, device)));
  if (absent) return `volume group ${vg.name} has no part on ${absent}`;
  const volumes = plan.lvs.filter((lv) => lv.vg === vg.name);
  for (const lv of volumes.filter(({ action }) => action === DiskAction.KEEP)) {
    const difference = volumeDifference(lv, group);
    if (difference) return difference;
  }
  const created = volumes.filter(({ action }) => action !== DiskAction.KEEP);
  const [inTheWay] = volumesToRemove(vg, created, group).inTheWay;
  return inTheWay && `volume ${vg.name}/${inTheWay} is there already, and the plan did not know`;
}
