// md arrays of a plan. Which /dev/mdN an array is, is read from sysfs by its members: the links below
// /dev/md exist only where udev has rules for them.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { PlannedMd } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { type Devices, deviceOf, kernelName } from "./devices.ts";
import { discardedToZeroes } from "./discard.ts";
import { wipeSignatures } from "./release.ts";
import { type StorageContext, settle, waitFor, withRetry } from "./wait.ts";

/** `complete`: it runs and every member that it was made with is in it. */
export type RunningArray = { path: string; level: string; complete: boolean; state: string };

/** mdadm then makes its nodes itself, and does not wait for links that a udev without md rules never makes. */
const env = { MDADM_NO_UDEV: "1" };

/** The command that makes an array of these members, the spares last among them. */
export function mdadmCreateCommand(
  md: PlannedMd,
  members: string[],
  uuid: string,
  assumeClean: boolean,
): [string, ...string[]] {
  const metadata = md.metadata || "1.2";
  const active = members.length - md.spares.length;
  const args = [
    `/dev/md/${md.name}`,
    "--run",
    `--level=${md.level}`,
    `--metadata=${metadata}`,
    `--uuid=${uuid}`,
    `--raid-devices=${active}`,
  ];
  // The array then keeps its name in every system that assembles it, whatever that system's host name. The old
  // metadata holds no name.
  if (metadata !== "0.90") args.push("--homehost=any", `--name=${md.name}`);
  if (md.spares.length > 0) args.push(`--spare-devices=${md.spares.length}`);
  if (md.chunkBytes > 0n) args.push(`--chunk=${md.chunkBytes / 1024n}K`);
  if (md.componentBytes > 0n) args.push(`--size=${md.componentBytes / 1024n}K`);
  if (md.level > 0) args.push("--bitmap=internal");
  if (assumeClean) args.push("--assume-clean");
  // An array of one; and parity from the first moment on, where mdadm would start with a member missing.
  if (active === 1 || md.level === 4 || md.level === 5) args.push("--force");
  return ["mdadm", "--create", ...args, ...members];
}

export function mdadmAssembleCommand({ name }: PlannedMd, members: string[]): [string, ...string[]] {
  return ["mdadm", "--assemble", "--run", `/dev/md/${name}`, ...members];
}

/** Every member of the array, the spares last. */
export function membersOf(md: PlannedMd, devices: Devices): string[] {
  return [...md.devices, ...md.spares].map((name) => deviceOf(devices, name));
}

/**
 * Makes the array and gives its node.
 *
 * A new mirror is resynchronised by the kernel, which reads one disk and writes the other in full, unless its
 * members are equal already. They are if they were members of such a mirror before (`areEqual`, see
 * former-mirrors.ts), and where both could be discarded and now read as zeros; that is looked at in samples.
 * Should a disk hold something else between the samples, no data is at risk: a mirror writes both sides, and no
 * file system reads what it has not written; only the mismatch count of a later scrub would show it. Levels with parity are always resynchronised, as there a wrong parity destroys data later.
 */
export async function createArray(
  md: PlannedMd,
  devices: Devices,
  uuid: string,
  areEqual: boolean,
  context: StorageContext,
): Promise<string> {
  const { run, signal, log } = context;
  const members = membersOf(md, devices);
  const assumeClean = md.level === 1 && (areEqual || (await allDiscarded(members, context)));
  if (md.level === 1 && !assumeClean) log(`md ${md.name}: the disks do not discard to zeros: full resync`);
  await run(mdadmCreateCommand(md, members, uuid, assumeClean), { signal, env });
  await settle(context);
  const failure = `md ${md.name}: no array of ${members.join(", ")} runs after mdadm --create. See dmesg.`;
  const array = await waitFor(() => findArray(members), failure, signal);
  // The data of an earlier array begins at the same place: its LVM or file system would come back.
  await wipeSignatures([array.path], context);
  return array.path;
}

async function allDiscarded(members: string[], context: StorageContext): Promise<boolean> {
  for (const member of members) {
    if (!(await discardedToZeroes(member, context))) return false;
  }
  return true;
}

/** The node of the array, started if it does not run. */
export async function assembleArray(
  md: PlannedMd,
  devices: Devices,
  context: StorageContext,
): Promise<string> {
  const { run, signal } = context;
  const members = membersOf(md, devices);
  const found = await findArray(members);
  if (found?.complete) return found.path;
  // Some members, or all but not started: what a udev rule began and could not finish.
  if (found) await run(["mdadm", "--stop", found.path], { signal, env });
  await run(mdadmAssembleCommand(md, members), { signal, env });
  await settle(context);
  const failure = `md ${md.name}: no array of ${members.join(", ")} runs after mdadm --assemble. See dmesg.`;
  const array = await waitFor(() => findArray(members), failure, signal);
  return array.path;
}

export async function stopArray(md: PlannedMd, devices: Devices, context: StorageContext): Promise<void> {
  const { run, signal } = context;
  const found = await findArray(membersOf(md, devices));
  if (!found) return;
  await settle(context);
  await withRetry(() => run(["mdadm", "--stop", found.path], { signal, env }), signal);
}

/** The array that has any of these members and no other. */
export async function findArray(
  members: string[],
  sysBlock = "/sys/block",
): Promise<RunningArray | undefined> {
  const wanted = members.map(kernelName);
  for (const name of await listDirectory(sysBlock)) {
    if (!/^md\d/.test(name)) continue;
    const slaves = await listDirectory(join(sysBlock, name, "slaves"));
    if (slaves.length === 0 || !slaves.every((slave) => wanted.includes(slave))) continue;
    const attribute = (key: string) => readAttribute(join(sysBlock, name, "md", key));
    const [level, state, degraded] = [
      await attribute("level"),
      await attribute("array_state"),
      await attribute("degraded"),
    ];
    const running = state !== "" && state !== "inactive" && state !== "clear";
    // Levels without redundancy have no `degraded`.
    const complete = running && slaves.length === wanted.length && (degraded === "" || degraded === "0");
    return { path: `/dev/${name}`, level, complete, state };
  }
  return undefined;
}

async function listDirectory(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch {
    return [];
  }
}

async function readAttribute(path: string): Promise<string> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch {
    return "";
  }
}

export type ArrayDetail = { uuid: string; level: string; metadata: string; name: string; devices: number };

/** What an array says of itself. */
export async function arrayDetail(path: string, { run, signal }: StorageContext): Promise<ArrayDetail> {
  const { stdout } = await run(["mdadm", "--detail", "--export", path], { signal, env });
  const values = new Map(
    [...stdout.matchAll(/^(MD_\w+)=(.*)$/gm)].map(([, key = "", value = ""]) => [key, value]),
  );
  const uuid = values.get("MD_UUID") ?? "";
  if (!uuid) throw new Error(`mdadm gives no UUID for ${path}. Run the partition step again.`);
  return {
    uuid,
    level: values.get("MD_LEVEL") ?? "",
    metadata: values.get("MD_METADATA") ?? "",
    // `any:os`: the part before the colon is the home host.
    name: (values.get("MD_NAME") ?? "").replace(/^[^:]*:/, ""),
    devices: Number(values.get("MD_DEVICES") ?? 0),
  };
}

/** Why the running array is not what the plan says; nothing if it is. */
export function arrayDifference(md: PlannedMd, detail: ArrayDetail): string | undefined {
  const metadata = md.metadata || "1.2";
  if (detail.level !== `raid${md.level}`) return `md ${md.name} is ${detail.level}`;
  if (detail.devices !== md.devices.length) return `md ${md.name} has ${detail.devices} members`;
  if (detail.metadata !== metadata) return `md ${md.name} has metadata ${detail.metadata}`;
  return undefined;
}
