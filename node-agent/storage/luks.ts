// LUKS: encrypted devices of a plan. A key comes from the daemon, goes to cryptsetup's standard input, and is
// never on a command line or in a log.
import type { PlannedLuks } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SecretSource } from "../step.ts";
import type { Identifiers } from "./identifiers.ts";
import { exists } from "./tables.ts";
import { type StorageContext, settle, waitFor, withRetry } from "./wait.ts";

/** As for LVM: in a ramdisk without udev rules for device-mapper, cryptsetup must make its nodes itself. */
const env = { DM_DISABLE_UDEV: "1" };

export function luksFormatCommand(luks: PlannedLuks, device: string, uuid: string): [string, ...string[]] {
  const args = ["--batch-mode", "--type", luks.type || "luks2", "--uuid", uuid, "--key-file=-"];
  return ["cryptsetup", "luksFormat", ...args, ...luks.options, device];
}

export function luksOpenCommand({ name }: PlannedLuks, device: string): [string, ...string[]] {
  return ["cryptsetup", "open", "--type", "luks", "--key-file=-", device, name];
}

/** Encrypts the device anew and gives the node of what is inside. */
export async function createLuks(
  luks: PlannedLuks,
  device: string,
  ids: Identifiers,
  secrets: SecretSource,
  context: StorageContext,
): Promise<string> {
  const { run, signal } = context;
  const input = await secrets(luks.secret, signal);
  const command = luksFormatCommand(luks, device, ids.uuid(`luks/${luks.name}`));
  await run(command, { signal, env, input });
  return openLuks(luks, device, secrets, context);
}

/** The node of what is inside, opened if it is not open. */
export async function openLuks(
  luks: PlannedLuks,
  device: string,
  secrets: SecretSource,
  context: StorageContext,
): Promise<string> {
  const { run, signal } = context;
  const path = mapperPath(luks);
  if (!(await exists(path))) {
    const input = await secrets(luks.secret, signal);
    await run(luksOpenCommand(luks, device), { signal, env, input });
  }
  await refuseStranger(luks, device, context);
  const failure = `${path} did not appear within 10 s after cryptsetup has opened ${device}. See dmesg.`;
  return waitFor(async () => ((await exists(path)) ? path : undefined), failure, signal);
}

/** A mapping of this name that lies on another device is somebody else's. */
async function refuseStranger(
  luks: PlannedLuks,
  device: string,
  { run, signal }: StorageContext,
): Promise<void> {
  const { stdout } = await run(["cryptsetup", "status", luks.name], { signal, env, okCodes: [0, 4] });
  const on = /^\s*device:\s*(\S+)/m.exec(stdout)?.[1] ?? "nothing";
  if (on === device) return;
  throw new Error(
    `${mapperPath(luks)} lies on ${on}, not on ${device}. Close it with \`cryptsetup close ${luks.name}\` and retry.`,
  );
}

export async function closeLuks(luks: PlannedLuks, context: StorageContext): Promise<void> {
  if (!(await exists(mapperPath(luks)))) return;
  const { run, signal } = context;
  await settle(context);
  await withRetry(() => run(["cryptsetup", "close", luks.name], { signal, env }), signal);
}

export async function luksUuid(device: string, { run, signal }: StorageContext): Promise<string> {
  // Code 1: it is no LUKS device.
  return (await run(["cryptsetup", "luksUUID", device], { signal, okCodes: [0, 1] })).stdout.trim();
}

function mapperPath({ name }: PlannedLuks): string {
  return `/dev/mapper/${name}`;
}
