// Makes a file system as large as its device, and leaves everything else of it as it is.
import { withMounts } from "./mounts.ts";
import type { StorageContext } from "./wait.ts";

/** `mountPoint` is free; xfs and btrfs grow only while they are mounted. False if the type cannot grow. */
export async function growFilesystem(
  type: string,
  device: string,
  mountPoint: string,
  context: StorageContext,
): Promise<boolean> {
  const { run, signal } = context;
  const mount = { kind: "device", source: device, target: mountPoint, type } as const;
  switch (type) {
    case "ext2":
    case "ext3":
    case "ext4":
      // Code 1: it has put something right.
      await run(["e2fsck", "-f", "-p", device], { signal, okCodes: [0, 1] });
      await run(["resize2fs", device], { signal });
      return true;
    case "xfs":
      await withMounts([mount], context, () => run(["xfs_growfs", mountPoint], { signal }));
      return true;
    case "btrfs":
      await withMounts([mount], context, () =>
        run(["btrfs", "filesystem", "resize", "max", mountPoint], { signal }),
      );
      return true;
    default:
      return false;
  }
}
