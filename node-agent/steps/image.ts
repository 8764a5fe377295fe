// Step `image`: puts the image's file system onto the root device and makes it this machine's own.
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import type { Step } from "../step.ts";
import { activate, machineStorage, requirePlan, type StorageOptions } from "../storage/activate.ts";
import { formatBytes } from "../storage/bytes.ts";
import { writeChunks } from "../storage/chunks.ts";
import { deviceOf } from "../storage/devices.ts";
import { openManifest } from "../storage/image-manifest.ts";
import { sizeOf } from "../storage/verify.ts";
import { type StorageContext, settle } from "../storage/wait.ts";

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
    await adopt(plan, target, context);
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

function checkFilesystem(plan: DiskPlan, manifest: ImageManifest): void {
  const root = plan.fss.find((fs) => fs.device === plan.rootDevice);
  if (manifest.filesystem === "ext4" && root?.type === "ext4") return;
  throw new Error(
    `image ${manifest.name} holds ${manifest.filesystem || "no known file system"}, the scheme wants ` +
      `${root?.type ?? "nothing"} for /. Both have to be ext4: change the scheme or the image.`,
  );
}

async function checkFits(manifest: ImageManifest, target: string, context: StorageContext): Promise<void> {
  const size = await sizeOf(target, context);
  if (size >= manifest.sizeBytes) return;
  throw new Error(
    `image ${manifest.name} needs ${manifest.sizeBytes} bytes, ${target} has ${size}. Make / larger in the scheme.`,
  );
}

/** Checks the file system, gives it a UUID and label of its own, and lets it fill the device. */
async function adopt(plan: DiskPlan, target: string, context: StorageContext): Promise<void> {
  const { run, signal } = context;
  const label = plan.fss.find((fs) => fs.device === plan.rootDevice)?.label;
  // Code 1: it has put something right.
  await run(["e2fsck", "-f", "-p", target], { signal, okCodes: [0, 1] });
  await run(["tune2fs", "-U", "random", ...(label ? ["-L", label] : []), target], { signal });
  await run(["resize2fs", target], { signal });
  await run(["blockdev", "--flushbufs", target], { signal });
  await settle(context);
}
