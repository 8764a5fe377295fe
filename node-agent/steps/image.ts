// Step `image`: puts the image's file system onto the root device and makes it this machine's own.
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { DiskPlan, PlannedFs } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import type { Step } from "../step.ts";
import { activate, machineStorage, requirePlan, type StorageOptions } from "../storage/activate.ts";
import { adoptFilesystem, isAdoptable } from "../storage/adopt.ts";
import { formatBytes } from "../storage/bytes.ts";
import { writeChunks } from "../storage/chunks.ts";
import { deviceOf } from "../storage/devices.ts";
import { openManifest } from "../storage/image-manifest.ts";
import { sizeOf } from "../storage/verify.ts";
import type { StorageContext } from "../storage/wait.ts";

export const image = createImageStep();

export function createImageStep(options: StorageOptions = machineStorage): Step<"image"> {
  return async (action, context) => {
    const plan = requirePlan(action);
    const signed = await context.images.manifest(action.imageDigest, context.signal);
    const manifest = openManifest(signed, action.imageDigest, context.identity.imageKey);
    checkFilesystem(plan, manifest);
    const devices = await activate(plan, context, options);
    const target = deviceOf(devices, plan.rootDevice);
    await checkFits(manifest, target, context);
    const file = await openAlone(target);
    const tally = await writeChunks(file, manifest, action.imageDigest, context).finally(() => file.close());
    context.progress({ activity: "checking and growing the file system" });
    await adoptFilesystem(rootFilesystem(plan), target, `${options.mountPoint}-image`, context);
    const [written, skipped] = [formatBytes(tally.movedBytes), formatBytes(tally.skippedBytes)];
    const size = formatBytes(await sizeOf(target, context));
    return `${manifest.name}: ${written} written, ${skipped} skipped, ${manifest.filesystem} grown to ${size} on ${target}`;
  };
}

/** O_EXCL on a block device: refused while it is mounted or part of something else. */
async function openAlone(target: string): Promise<FileHandle> {
  try {
    return await open(target, constants.O_RDWR | constants.O_EXCL);
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EBUSY")) throw cause;
    throw new Error(
      `${target} is in use by something that is no step; see lsblk. Unmount or stop it and retry.`,
      {
        cause,
      },
    );
  }
}

function rootFilesystem(plan: DiskPlan): PlannedFs {
  const root = plan.fss.find((fs) => fs.device === plan.rootDevice);
  if (!root) throw new Error("the plan has no file system for /. Plan again.");
  return root;
}

function checkFilesystem(plan: DiskPlan, manifest: ImageManifest): void {
  const root = plan.fss.find((fs) => fs.device === plan.rootDevice);
  if (root && manifest.filesystem === root.type && isAdoptable(root.type)) return;
  throw new Error(
    `image ${manifest.name} holds ${manifest.filesystem || "no known file system"}, the scheme wants ` +
      `${root?.type ?? "nothing"} for /. Both have to be the same, one of ext2, ext3, ext4, xfs and btrfs: change ` +
      "the scheme or the image.",
  );
}

async function checkFits(manifest: ImageManifest, target: string, context: StorageContext): Promise<void> {
  const size = await sizeOf(target, context);
  if (size >= manifest.sizeBytes) return;
  throw new Error(
    `image ${manifest.name} needs ${manifest.sizeBytes} bytes, ${target} has ${size}. Make / larger in the scheme.`,
  );
}
