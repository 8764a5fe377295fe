// Making file systems, and asking for their UUIDs.
import type { PlannedFs } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { StorageContext } from "./wait.ts";

/** The command that makes this file system (or swap) on the device. */
export function mkfsCommand({ type, label }: PlannedFs, device: string): [string, ...string[]] {
  const labelled = (flag: string) => (label ? [flag, label] : []);
  switch (type) {
    case "ext4":
      return ["mkfs.ext4", "-q", "-F", ...labelled("-L"), device];
    case "xfs":
      return ["mkfs.xfs", "-q", "-f", ...labelled("-L"), device];
    case "vfat":
      return ["mkfs.vfat", "-F", "32", ...labelled("-n"), device];
    case "swap":
      return ["mkswap", "--force", ...labelled("-L"), device];
    default:
      throw new Error(`file system ${type} of ${device}: only ext4, xfs, vfat and swap can be made`);
  }
}

export async function uuidOf(device: string, { run, signal }: StorageContext): Promise<string> {
  // Code 2: it found nothing. The cache would answer from before the image was written.
  const command = ["blkid", "-c", "/dev/null", "-s", "UUID", "-o", "value", device] as const;
  const uuid = (await run(command, { signal, okCodes: [0, 2] })).stdout.trim();
  if (!uuid)
    throw new Error(`${device} has no file system with a UUID. Run the partition and image steps again.`);
  return uuid;
}
