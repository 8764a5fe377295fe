// Step `partition`: empties the disks of the plan and makes its partitions, arrays, volumes and file systems.
//
// First everything is looked at: that the disks are those of the plan, that nothing on them reaches to other
// disks, that what is kept is there. Only then is anything written. An apply that was interrupted is begun again
// with the wiping, as what it has left half done is not worth telling apart; only what the plan keeps is kept.
// The last write marks every disk as done, so a finished apply is known as such and not done again.
import {
  DiskAction,
  type DiskPlan,
  type PlannedDisk,
  type PlannedVg,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { wholeDiskOf } from "../../proto/plan/whole-disk.ts";
import type { Step, StepContext } from "../step.ts";
import { machineStorage, requirePlan, type StorageOptions, startLayer } from "../storage/activate.ts";
import { compare, imageDevices } from "../storage/applied.ts";
import { createArray } from "../storage/arrays.ts";
import { deviceOf, deviceOfDisk, partitionDevices, partitionPath } from "../storage/devices.ts";
import { diskKey, type MachineDisk, matchDisks } from "../storage/disks.ts";
import { filesystemIds, mkfsCommand } from "../storage/filesystems.ts";
import { refuseForeign } from "../storage/foreign.ts";
import { formerMirrors } from "../storage/former-mirrors.ts";
import { type Identifiers, identifiersOf } from "../storage/identifiers.ts";
import { checkKept, isKept } from "../storage/keep.ts";
import { createLuks } from "../storage/luks.ts";
import { unmountAll } from "../storage/mounts.ts";
import { type Layer, orderLayers } from "../storage/order.ts";
import { freeDisks, wipeFreed, wipeSignatures } from "../storage/release.ts";
import { createdPartitions, isRewritten, outgoing, partitionName } from "../storage/table-changes.ts";
import { markApplied, readTable, verifyPartitions, writeTable } from "../storage/tables.ts";
import { describeIdentifiers, describeStorage, verifyStorage } from "../storage/verify.ts";
import {
  activateGroup,
  createVolume,
  createVolumeGroup,
  readGroup,
  removeVolumes,
  volumesToRemove,
} from "../storage/volumes.ts";
import { settle } from "../storage/wait.ts";

/** What one apply works with. */
type Apply = {
  plan: DiskPlan;
  disks: ReadonlyMap<string, MachineDisk>;
  ids: Identifiers;
  context: StepContext;
  /** The nodes of the plan's devices, as they come to be. */
  devices: Map<string, string>;
  /** Names of arrays whose members are equal as they are. */
  mirrors: ReadonlySet<string>;
};

export const partition = createPartitionStep();

export function createPartitionStep(options: StorageOptions = machineStorage): Step<"partition"> {
  return async (action, context) => {
    const plan = requirePlan(action);
    await unmountAll(options.mountPoint, context);
    // All disks are found before any is touched.
    const disks = matchDisks(plan, await options.findDisks(context.run, context.signal));
    await refuseForeign(
      [...disks.values()].map(({ path }) => path),
      plan.vgs.map(({ name }) => name),
      context,
    );
    if (wholeDiskOf(plan)) return emptyDisks(disks, context);
    // A key that is not to be had must be known before there is nothing left to go back to.
    for (const { secret } of plan.luks) await context.secrets(secret, context.signal);
    const ids = identifiersOf(plan, context);
    const comparison = await compare(plan, disks, ids, context, context.secrets);
    if (comparison.applied) {
      const result = await verified({
        plan,
        disks,
        ids,
        context,
        devices: new Map(comparison.devices),
        mirrors: new Set(),
      });
      return `unchanged, as this deployment has made it before: ${result}`;
    }
    context.log(`to be made: ${comparison.difference}`);
    await checkKept(plan, disks, ids, context, context.secrets);
    const mirrors = await formerMirrors(plan, disks, context);
    const apply: Apply = { plan, disks, ids, context, devices: new Map(), mirrors };
    await makeTables(apply);
    for (const layer of orderLayers(plan)) await makeLayer(layer, apply);
    await makeFilesystems(apply);
    const result = await verified(apply);
    await context.run(["sync"], { signal: context.signal });
    for (const planned of plan.disks) await markApplied(planned, pathOf(planned, apply), ids, context);
    return result;
  };
}

/**
 * All that is to be done for an image of a whole disk. Whether it has been done before is no matter: as long as
 * this step runs, the image is still to come. What is not wiped stays for the image step to recognise.
 */
async function emptyDisks(disks: ReadonlyMap<string, MachineDisk>, context: StepContext): Promise<string> {
  const paths = [...disks.values()].map(({ path }) => path);
  for (const tree of await freeDisks(paths, context)) {
    context.progress({ activity: `wiping ${tree.path}` });
    await wipeFreed(tree, context);
  }
  await settle(context);
  await context.run(["sync"], { signal: context.signal });
  return `${paths.join(", ")} emptied; the image brings its own partitions`;
}

function pathOf(planned: PlannedDisk, { disks }: Apply): string {
  return deviceOfDisk(disks, diskKey(planned)).path;
}

/** Frees and empties what is made anew, and writes the tables. */
async function makeTables(apply: Apply): Promise<void> {
  const { plan, disks, ids, context, devices } = apply;
  const show = (activity: string) => context.progress({ activity });
  // All are freed and wiped before a table is written, as an old array or group may lie on several of them.
  const trees = await freeDisks(
    plan.disks.map((planned) => pathOf(planned, apply)),
    context,
  );
  for (const planned of plan.disks) {
    const path = pathOf(planned, apply);
    show(`wiping ${path}`);
    const tree = trees.find((one) => one.path === path);
    if (tree && planned.table !== DiskAction.KEEP) await wipeFreed(tree, context);
    if (planned.table === DiskAction.KEEP) await wipeOutgoing(planned, path, context);
  }
  show("partitioning");
  await allDone(plan.disks.filter(isRewritten), (planned) =>
    writeTable(planned, pathOf(planned, apply), ids, context),
  );
  for (const planned of plan.disks) await verifyPartitions(planned, pathOf(planned, apply));
  for (const [name, path] of partitionDevices(plan, disks)) devices.set(name, path);
  // A new partition may begin where an older layout had a file system or an array.
  const created = plan.disks.flatMap((planned) =>
    createdPartitions(planned)
      .filter(({ kind }) => kind !== "extended")
      .map((one) => deviceOf(devices, partitionName(planned, one))),
  );
  if (created.length > 0) await wipeSignatures(created, context);
}

/** At the same time, as sgdisk sleeps a second for each disk. Returns when all have ended, also if one has failed. */
async function allDone<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(items.map(work));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

/** Of a table that stays, the partitions that go. */
async function wipeOutgoing(planned: PlannedDisk, disk: string, context: StepContext): Promise<void> {
  if (!isRewritten(planned)) return;
  const found = await readTable(disk, context);
  const doomed = found ? outgoing(planned, found).map((number) => partitionPath(disk, number)) : [];
  if (doomed.length > 0) await wipeSignatures(doomed, context);
}

/** Makes the array, encrypted device, group or volume, or starts it if it is kept. */
async function makeLayer(layer: Layer, apply: Apply): Promise<void> {
  const { plan, ids, context, devices, mirrors } = apply;
  if (isKept(layer)) {
    await startLayer(layer, devices, context, context.secrets);
    if (layer.kind === "vg") await clearGroup(layer.vg, apply);
    return;
  }
  switch (layer.kind) {
    case "md": {
      const name = `md/${layer.md.name}`;
      context.progress({ activity: `creating array ${layer.md.name}` });
      const areEqual = mirrors.has(layer.md.name);
      devices.set(name, await createArray(layer.md, devices, ids.uuid(name), areEqual, context));
      return;
    }
    case "luks": {
      const { luks } = layer;
      context.progress({ activity: `encrypting ${luks.name}` });
      const below = deviceOf(devices, luks.device);
      devices.set(`luks/${luks.name}`, await createLuks(luks, below, ids, context.secrets, context));
      return;
    }
    case "vg":
      context.progress({ activity: `creating volume group ${layer.vg.name}` });
      await createVolumeGroup(layer.vg, plan.pvs, devices, ids, context);
      return;
    case "lv": {
      const { lv } = layer;
      const vg = plan.vgs.find(({ name }) => name === lv.vg);
      if (!vg) throw new Error(`volume ${lv.name}: the plan has no volume group ${lv.vg}. Plan again.`);
      const node = await createVolume(lv, vg, devices, context);
      if (node) devices.set(`lv/${lv.vg}/${lv.name}`, node);
      return;
    }
  }
}

/** Removes from a group that stays the volumes that go, and those of an interrupted attempt. */
async function clearGroup(vg: PlannedVg, apply: Apply): Promise<void> {
  const { plan, context, devices } = apply;
  const created = plan.lvs.filter((lv) => lv.vg === vg.name && lv.action !== DiskAction.KEEP);
  const { remove } = volumesToRemove(vg, created, await readGroup(vg, devices, context));
  await removeVolumes(vg, remove, devices, context);
  await activateGroup(vg, devices, context);
}

/** All but those that an image brings. */
async function makeFilesystems({ plan, ids, context, devices }: Apply): Promise<void> {
  const imaged = imageDevices(plan);
  for (const fs of plan.fss) {
    if (fs.action === DiskAction.KEEP || imaged.includes(fs.device)) continue;
    for (const name of [fs.device, ...fs.copies]) {
      const device = deviceOf(devices, name);
      context.progress({ activity: `making ${fs.type} on ${device}` });
      await context.run(mkfsCommand(fs, device, filesystemIds(ids, name)), { signal: context.signal });
    }
  }
}

/** What the kernel shows in the end, in one line. */
async function verified(apply: Apply): Promise<string> {
  const { plan, context, devices } = apply;
  await settle(context);
  for (const planned of plan.disks) await verifyPartitions(planned, pathOf(planned, apply));
  const facts = await verifyStorage(plan, devices, context);
  return `${describeStorage(plan, facts)}; ${describeIdentifiers(facts)}`;
}
