// LVM: physical volumes, volume groups and logical volumes of a plan.
import { readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import {
  DiskAction,
  type PlannedLv,
  type PlannedPv,
  type PlannedVg,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { RunResult } from "../runner.ts";
import { type Devices, deviceOf, logicalVolumePath } from "./devices.ts";
import type { Identifiers } from "./identifiers.ts";
import { exists } from "./tables.ts";
import { type StorageContext, settle, waitFor, withRetry } from "./wait.ts";

/** On every volume that was made here: an interrupted apply may remove it, and no other volume. */
const ownTag = "muster";

/**
 * Every LVM command goes this way. With DM_DISABLE_UDEV, LVM makes and removes the nodes below /dev/mapper itself;
 * otherwise it would wait without end in a ramdisk whose udev has no rules for device-mapper.
 */
export function runLvm(
  argv: readonly [string, ...string[]],
  { run, signal }: StorageContext,
  okCodes = [0],
): Promise<RunResult> {
  return run(argv, { signal, okCodes, env: { DM_DISABLE_UDEV: "1" } });
}

/**
 * LVM sees these devices and no other: a clone of a disk, or a group of the same name on a disk that is not in
 * the plan, is neither confused with them nor touched.
 */
export function scopeOf(vg: PlannedVg, devices: Devices): string[] {
  return ["--devices", vg.devices.map((name) => deviceOf(devices, name)).join(",")];
}

export async function createVolumeGroup(
  vg: PlannedVg,
  pvs: PlannedPv[],
  devices: Devices,
  ids: Identifiers,
  context: StorageContext,
): Promise<void> {
  const scope = scopeOf(vg, devices);
  for (const name of vg.devices) {
    const pv = pvs.find(({ device, vg: group }) => device === name && group === vg.name);
    await runLvm(pvcreateCommand(pv, deviceOf(devices, name), ids.physicalVolume(name), scope), context);
  }
  await removeStaleLinks(vg.name);
  await runLvm(vgcreateCommand(vg, devices), context);
}

export function vgcreateCommand(vg: PlannedVg, devices: Devices): [string, ...string[]] {
  const extent = vg.extentBytes ? ["--physicalextentsize", `${vg.extentBytes}b`] : [];
  const members = vg.devices.map((name) => deviceOf(devices, name));
  return ["vgcreate", "--yes", ...scopeOf(vg, devices), ...extent, vg.name, ...members];
}

/** LVM refuses a name below /dev that is taken, be it by the links to volumes that are gone. */
async function removeStaleLinks(name: string): Promise<void> {
  const directory = join("/dev", name);
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isSymbolicLink() && !(await exists(path))) await rm(path, { force: true });
  }
  // Fails where it is not empty, or is not there.
  await rmdir(directory).catch(() => {});
}

export function pvcreateCommand(
  pv: PlannedPv | undefined,
  device: string,
  uuid: string,
  scope: string[],
): [string, ...string[]] {
  const args = ["--yes", ...scope, "--uuid", uuid, "--norestorefile"];
  if (pv?.metadataBytes) args.push("--metadatasize", `${pv.metadataBytes}b`);
  if (pv?.metadataCopies) args.push("--pvmetadatacopies", String(pv.metadataCopies));
  if (pv?.dataAlignmentBytes) args.push("--dataalignment", `${pv.dataAlignmentBytes}b`);
  return ["pvcreate", ...args, device];
}

/** The node of the new volume, free of signatures that an older one may have left at its place; none of a pool. */
export async function createVolume(
  lv: PlannedLv,
  vg: PlannedVg,
  devices: Devices,
  context: StorageContext,
): Promise<string | undefined> {
  await runLvm(lvcreateCommand(lv, devices, scopeOf(vg, devices)), context);
  return lv.type === "thin_pool" ? undefined : volumeNode(lv, context);
}

export function lvcreateCommand(lv: PlannedLv, devices: Devices, scope: string[]): [string, ...string[]] {
  const args = ["--yes", ...scope, "--addtag", ownTag, "--name", lv.name];
  const wipe = ["--wipesignatures", "y", "--zero", "y"];
  const size = ["--size", `${lv.sizeBytes}b`];
  switch (lv.type || "linear") {
    case "linear":
      args.push("--type", "linear", ...wipe, ...size);
      break;
    case "striped":
      args.push("--type", "striped", "--stripes", String(lv.stripes));
      if (lv.stripeBytes) args.push("--stripesize", `${lv.stripeBytes}b`);
      args.push(...wipe, ...size);
      break;
    case "mirror":
      args.push("--type", "raid1", "--mirrors", String(lv.mirrors - 1), ...wipe, ...size);
      break;
    case "thin_pool":
      // New blocks are zeroed when they are first used, so that no volume shows what another system left.
      args.push("--type", "thin-pool", "--zero", "y", ...size);
      if (lv.chunkBytes) args.push("--chunksize", `${lv.chunkBytes}b`);
      if (lv.metadataBytes) args.push("--poolmetadatasize", `${lv.metadataBytes}b`);
      break;
    case "thin":
      args.push("--type", "thin", "--virtualsize", `${lv.sizeBytes}b`, "--thinpool", lv.pool);
      break;
    default:
      throw new Error(`volume ${lv.vg}/${lv.name}: this agent does not know the type ${lv.type}; update it`);
  }
  return ["lvcreate", ...args, lv.vg, ...lv.devices.map((name) => deviceOf(devices, name))];
}

export async function activateGroup(vg: PlannedVg, devices: Devices, context: StorageContext): Promise<void> {
  for (const command of activateCommands(vg, devices)) await runLvm(command, context);
  await settle(context);
}

export function activateCommands(vg: PlannedVg, devices: Devices): [string, ...string[]][] {
  const scope = scopeOf(vg, devices);
  // Unmonitored: that is a daemon's work (dmeventd), which a ramdisk has not.
  return [
    ["vgchange", ...scope, "--activate", "y", "--monitor", "n", vg.name],
    // For volumes that were active before. Not by vgscan --mknodes, which fails where there is a thin pool.
    ["dmsetup", "mknodes"],
  ];
}

export async function deactivateGroup(
  vg: PlannedVg,
  devices: Devices,
  context: StorageContext,
): Promise<void> {
  await settle(context);
  const deactivate = () => runLvm(["vgchange", ...scopeOf(vg, devices), "--activate", "n", vg.name], context);
  await withRetry(deactivate, context.signal);
}

export async function volumeNode(lv: PlannedLv, context: StorageContext): Promise<string> {
  const path = logicalVolumePath(lv.vg, lv.name);
  const failure = `${path} did not appear within 10 s. Run the partition step again; see dmesg.`;
  return waitFor(async () => ((await exists(path)) ? path : undefined), failure, context.signal);
}

type FoundVolume = { lv_name: string; lv_size: string; lv_tags: string; segtype: string };
type FoundGroup = { physicalVolumes: Map<string, string>; volumes: FoundVolume[] };

/** What LVM finds of a group on its planned devices. */
export async function readGroup(
  vg: PlannedVg,
  devices: Devices,
  context: StorageContext,
): Promise<FoundGroup> {
  const format = ["--reportformat", "json", "--units", "b", "--nosuffix"];
  const report = async <T>(program: string, fields: string, key: string) => {
    const command = [program, ...scopeOf(vg, devices), ...format, "-o", fields] as const;
    const { stdout } = await runLvm([...command, ...(program === "pvs" ? [] : [vg.name])], context);
    const { report } = JSON.parse(stdout) as { report: Record<string, T[]>[] };
    return report.flatMap((part) => part[key] ?? []);
  };
  const pvs = await report<{ pv_name: string; pv_uuid: string; vg_name: string }>(
    "pvs",
    "pv_name,pv_uuid,vg_name",
    "pv",
  );
  const own = pvs.filter(({ vg_name }) => vg_name === vg.name);
  const volumes = await report<FoundVolume>("lvs", "lv_name,lv_size,lv_tags,segtype", "lv");
  return { physicalVolumes: new Map(own.map(({ pv_name, pv_uuid }) => [pv_name, pv_uuid])), volumes };
}

const segmentTypes: Record<string, string> = { mirror: "raid1", thin_pool: "thin-pool" };

/** Why the volume is not what the plan says; nothing if it is. */
export function volumeDifference(lv: PlannedLv, group: FoundGroup): string | undefined {
  const name = `volume ${lv.vg}/${lv.name}`;
  const found = group.volumes.find(({ lv_name }) => lv_name === lv.name);
  if (!found) return `${name} is not there`;
  if (BigInt(found.lv_size) !== lv.sizeBytes) return `${name} has ${found.lv_size} bytes`;
  if (lv.action !== DiskAction.KEEP) {
    if (found.segtype !== (segmentTypes[lv.type] ?? (lv.type || "linear")))
      return `${name} is ${found.segtype}`;
    if (!isOwn(found)) return `${name} was not made by Muster`;
  }
  return undefined;
}

function isOwn({ lv_tags }: FoundVolume): boolean {
  return lv_tags.split(",").includes(ownTag);
}

/** The volumes that go from a group that stays, and what is in the way that may not go. */
export function volumesToRemove(
  vg: PlannedVg,
  created: PlannedLv[],
  group: FoundGroup,
): { remove: string[]; inTheWay: string[] } {
  const found = (name: string) => group.volumes.find(({ lv_name }) => lv_name === name);
  const removes = vg.removes.filter((name) => found(name));
  const again = created.map(({ name }) => name).filter((name) => found(name) && !removes.includes(name));
  return {
    // A thin volume before its pool.
    remove: [
      ...removes,
      ...again.filter((name) => found(name) && isOwn(found(name) as FoundVolume)).reverse(),
    ],
    inTheWay: again.filter((name) => !isOwn(found(name) as FoundVolume)),
  };
}

export async function removeVolumes(
  vg: PlannedVg,
  names: string[],
  devices: Devices,
  context: StorageContext,
): Promise<void> {
  for (const name of names) {
    await runLvm(lvremoveCommand(vg, name, devices), context);
  }
}

export function lvremoveCommand(vg: PlannedVg, volume: string, devices: Devices): [string, ...string[]] {
  return ["lvremove", ...scopeOf(vg, devices), "--yes", `${vg.name}/${volume}`];
}
