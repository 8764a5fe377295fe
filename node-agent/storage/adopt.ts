// Makes the file system of an image this machine's own: checked, with a UUID and label of its own, and as large as
// its device.
import type { PlannedFs } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { withMounts } from "./mounts.ts";
import { type StorageContext, settle } from "./wait.ts";

type Adopt = (device: string, label: string, mountPoint: string, context: StorageContext) => Promise<void>;

const adopters: Record<string, Adopt> = {
  ext2: adoptExt,
  ext3: adoptExt,
  ext4: adoptExt,
  xfs: adoptXfs,
  btrfs: adoptBtrfs,
};

export function isAdoptable(type: string): boolean {
  return type in adopters;
}

/** `mountPoint` is free; xfs and btrfs grow only while they are mounted. */
export async function adoptFilesystem(
  { type, label }: PlannedFs,
  device: string,
  mountPoint: string,
  context: StorageContext,
): Promise<void> {
  const adopt = adopters[type];
  if (!adopt) throw new Error(`no image can hold ${type}. Change the scheme.`);
  await adopt(device, label, mountPoint, context);
  await context.run(["blockdev", "--flushbufs", device], { signal: context.signal });
  await settle(context);
}

async function adoptExt(device: string, label: string, _: string, { run, signal }: StorageContext) {
  // Code 1: it has put something right.
  await run(["e2fsck", "-f", "-p", device], { signal, okCodes: [0, 1] });
  await run(["tune2fs", "-U", "random", ...(label ? ["-L", label] : []), device], { signal });
  await run(["resize2fs", device], { signal });
}

async function adoptXfs(device: string, label: string, mountPoint: string, context: StorageContext) {
  const { run, signal } = context;
  await run(["xfs_repair", "-n", device], { signal });
  await run(["xfs_admin", "-U", "generate", device], { signal });
  if (label) await run(["xfs_admin", "-L", label, device], { signal });
  const mount = { kind: "device", source: device, target: mountPoint, type: "xfs" } as const;
  await withMounts([mount], context, () => run(["xfs_growfs", mountPoint], { signal }));
}

async function adoptBtrfs(device: string, label: string, mountPoint: string, context: StorageContext) {
  const { run, signal } = context;
  await run(["btrfs", "check", "--readonly", device], { signal });
  await run(["btrfstune", "-f", "-u", device], { signal });
  if (label) await run(["btrfs", "filesystem", "label", device, label], { signal });
  const mount = { kind: "device", source: device, target: mountPoint, type: "btrfs" } as const;
  await withMounts([mount], context, () =>
    run(["btrfs", "filesystem", "resize", "max", mountPoint], { signal }),
  );
}
