// LVM: volume groups and logical volumes of a plan.
import type { PlannedLv, PlannedVg } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { RunResult } from "../runner.ts";
import { type Devices, deviceOf, logicalVolumePath } from "./devices.ts";
import { exists } from "./gpt.ts";
import { type StorageContext, settle, waitFor, withRetry } from "./wait.ts";

/**
 * Every LVM command goes this way: with DM_DISABLE_UDEV, LVM makes and removes the nodes below /dev/mapper
 * itself. Otherwise it would wait without end in a ramdisk whose udev has no rules for device-mapper.
 */
export function runLvm(
  argv: readonly [string, ...string[]],
  { run, signal }: StorageContext,
  okCodes = [0],
): Promise<RunResult> {
  return run(argv, { signal, okCodes, env: { DM_DISABLE_UDEV: "1" } });
}

export async function createVolumeGroup(
  vg: PlannedVg,
  devices: Devices,
  context: StorageContext,
): Promise<void> {
  const members = vg.devices.map((name) => deviceOf(devices, name));
  for (const member of members) await runLvm(["pvcreate", "--yes", member], context);
  const extent = vg.extentBytes ? ["--physicalextentsize", `${vg.extentBytes}b`] : [];
  await runLvm(["vgcreate", "--yes", ...extent, vg.name, ...members], context);
}

/** The node of the new volume, free of signatures that an older one may have left at its place. */
export async function createVolume(lv: PlannedLv, context: StorageContext): Promise<string> {
  const wipe = ["--yes", "--wipesignatures", "y", "--zero", "y"];
  await runLvm(["lvcreate", ...wipe, "--size", `${lv.sizeBytes}b`, "--name", lv.name, lv.vg], context);
  return volumeNode(lv, context);
}

export async function activateGroup(vg: PlannedVg, context: StorageContext): Promise<void> {
  await runLvm(["vgchange", "--activate", "y", vg.name], context);
  await runLvm(["vgscan", "--mknodes"], context);
  await settle(context);
}

export async function deactivateGroup(vg: PlannedVg, context: StorageContext): Promise<void> {
  await settle(context);
  const deactivate = () => runLvm(["vgchange", "--activate", "n", vg.name], context);
  await withRetry(deactivate, context.signal);
}

export async function volumeNode(lv: PlannedLv, context: StorageContext): Promise<string> {
  const path = logicalVolumePath(lv.vg, lv.name);
  const failure = `${path} did not appear within 10 s. Run the partition step again; see dmesg.`;
  return waitFor(async () => ((await exists(path)) ? path : undefined), failure, context.signal);
}
