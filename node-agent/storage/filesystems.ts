// Making file systems, and asking what is on a device.
import type { PlannedFs } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { type Identifiers, sameUuid } from "./identifiers.ts";
import type { StorageContext } from "./wait.ts";

/** The command that makes this file system (or swap) on the device. */
export function mkfsCommand(
  { type, label, mkfsOptions }: PlannedFs,
  device: string,
  ids: { uuid: string; serial: string },
): [string, ...string[]] {
  const labelled = (flag: string) => (label ? [flag, label] : []);
  switch (type) {
    case "ext2":
    case "ext3":
    case "ext4":
      return [`mkfs.${type}`, "-q", "-F", "-U", ids.uuid, ...labelled("-L"), ...mkfsOptions, device];
    case "xfs":
      return ["mkfs.xfs", "-q", "-f", "-m", `uuid=${ids.uuid}`, ...labelled("-L"), ...mkfsOptions, device];
    case "btrfs":
      return ["mkfs.btrfs", "-q", "-f", "-U", ids.uuid, ...labelled("-L"), ...mkfsOptions, device];
    case "vfat":
      return ["mkfs.vfat", "-F", "32", "-i", ids.serial, ...labelled("-n"), ...mkfsOptions, device];
    case "swap":
      return ["mkswap", "--force", "--uuid", ids.uuid, ...labelled("-L"), ...mkfsOptions, device];
    default:
      throw new Error(`file system ${type} of ${device}: this agent cannot make it; update the agent`);
  }
}

/** The identifiers of a file system by the plan's name of its device. */
export function filesystemIds(ids: Identifiers, device: string): { uuid: string; serial: string } {
  return { uuid: ids.uuid(`fs/${device}`), serial: ids.serial(`fs/${device}`) };
}

export type FoundSignature = { type: string; uuid: string; label: string; uuidSub: string };

const probesAtOnce = 8;

/** What blkid finds on each device, by its path. One call for each: given several, blkid ends at the first empty one. */
export async function readSignatures(
  devices: string[],
  context: Pick<StorageContext, "run" | "signal">,
): Promise<Map<string, FoundSignature>> {
  const found = new Map<string, FoundSignature>();
  for (let start = 0; start < devices.length; start += probesAtOnce) {
    const batch = devices.slice(start, start + probesAtOnce);
    const signatures = await Promise.all(batch.map((device) => readSignature(device, context)));
    signatures.forEach((signature, index) => {
      found.set(batch[index] ?? "", signature);
    });
  }
  return found;
}

/** What blkid finds on the device itself; its cache would answer from before the last change. */
export async function readSignature(
  device: string,
  { run, signal }: Pick<StorageContext, "run" | "signal">,
): Promise<FoundSignature> {
  // Code 2: nothing is there; 8: more than one signature.
  const command = ["blkid", "--probe", "--output", "export", device] as const;
  const { stdout } = await run(command, { signal, okCodes: [0, 2, 8] });
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(stdout)?.[1] ?? "";
  return { type: value("TYPE"), uuid: value("UUID"), label: value("LABEL"), uuidSub: value("UUID_SUB") };
}

/** Why the file system of this device is not what the plan says; nothing if it is. */
export function filesystemDifference(
  fs: PlannedFs,
  device: string,
  found: FoundSignature,
  ids?: Identifiers,
): string | undefined {
  if (found.type !== fs.type) return `${device} holds ${found.type || "no file system"}, not ${fs.type}`;
  if (fs.label && found.label !== fs.label) return `${device} has the label ${found.label || "(none)"}`;
  if (!ids) return undefined;
  const own = filesystemIds(ids, device);
  const wanted = fs.type === "vfat" ? own.serial : own.uuid;
  return sameUuid(found.uuid, wanted) ? undefined : `the file system of ${device} has another UUID`;
}

export async function uuidOf(device: string, context: StorageContext): Promise<string> {
  const { uuid } = await readSignature(device, context);
  if (!uuid)
    throw new Error(`${device} has no file system with a UUID. Run the partition and image steps again.`);
  return uuid;
}
