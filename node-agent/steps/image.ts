// Step `image`: puts images onto the plan's devices and makes them this machine's own.
import type { DiskPlan, PlannedFs } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { ImageKind, type ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import type { Delivery } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { ImageTarget } from "../../proto/gen/muster/v1/step_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import { type DeliveryContext, deliver } from "../delivery/deliver.ts";
import { openFormers, openImage } from "../delivery/open-image.ts";
import { Sources } from "../delivery/sources.ts";
import { addTallies, doneBytes, type Tally } from "../delivery/tally.ts";
import { treeContent } from "../delivery/tree-content.ts";
import type { ActionOf, LocatedImage, Step, StepContext } from "../step.ts";
import { activate, machineStorage, requirePlan, type StorageOptions } from "../storage/activate.ts";
import { adoptFilesystem, isAdoptable } from "../storage/adopt.ts";
import { sizeOf } from "../storage/device-size.ts";
import { type Devices, deviceOf } from "../storage/devices.ts";
import { filesystemIds, mkfsCommand } from "../storage/filesystems.ts";
import { identifiersOf } from "../storage/identifiers.ts";
import { withMounts } from "../storage/mounts.ts";
import { settleDisk } from "../storage/whole-disk.ts";

/** An image of the step that was found and fits where it is to go. */
type Order = {
  target: ImageTarget;
  located: LocatedImage;
  manifest: ImageManifest;
  plan: DiskPlan;
  /** Of the plan; absent for a whole disk. */
  fs: PlannedFs | undefined;
};

/** What all images of one step share. */
type Work = {
  action: ActionOf<"image">;
  context: StepContext;
  mountPoint: string;
  /** Shows the progress of the image that is being written, on top of those before it. */
  show(tally: Readonly<Tally>, activity: string): void;
};

export const image = createImageStep();

export function createImageStep(options: StorageOptions = machineStorage): Step<"image"> {
  return async (action, context) => {
    const plan = requirePlan(action);
    if (action.targets.length === 0)
      throw new Error("the step came without an image. Plan and deploy again.");
    const orders: Order[] = [];
    for (const target of action.targets) orders.push(await openOrder(target, plan, action.delivery, context));
    const devices = await activate(plan, context, options);
    // All fit, or none is written.
    for (const order of orders) await checkFits(order, devices);
    const progress = new StepProgress(orders, context);
    const results: string[] = [];
    for (const order of orders) {
      const show = (tally: Readonly<Tally>, activity: string) => progress.show(tally, activity);
      const work = { action, context, mountPoint: `${options.mountPoint}-image`, show };
      results.push(await put(order, deviceOf(devices, order.target.device), work, progress));
      context.log(memoryInWords());
    }
    return results.join("; ");
  };
}

/** With all its threads, since it started. Programs that it runs have their own. */
function memoryInWords(): string {
  const { maxRSS } = process.resourceUsage(); // in KiB
  return `the agent has had ${Math.round(maxRSS / 1024)} MiB of memory at most`;
}

async function openOrder(
  target: ImageTarget,
  plan: DiskPlan,
  delivery: Delivery,
  context: StepContext,
): Promise<Order> {
  const { images, identity, signal, log } = context;
  const digest = target.imageDigest;
  const located = await images.locate(digest, delivery, signal);
  const manifest = await openImage(digest, located.sources, identity.imageKey, {
    signal,
    log,
    report: (source, fault) => images.report(digest, source, fault),
    relocate: async () => (await images.locate(digest, delivery, signal)).sources,
  });
  const fs = plan.fss.find(({ device }) => device === target.device);
  checkKind(target, manifest, fs);
  return { target, located, manifest, plan, fs };
}

function checkKind({ device }: ImageTarget, manifest: ImageManifest, fs: PlannedFs | undefined): void {
  const isDisk = device.startsWith("disk/");
  if (isDisk !== (manifest.kind === ImageKind.DISK)) {
    const [is, wanted] = isDisk ? ["no", "a whole disk"] : ["an", `the file system ${device}`];
    throw new Error(
      `image ${manifest.name} is ${is} image of a whole disk, and is to go to ${wanted}. Change the role or the ` +
        "scheme.",
    );
  }
  if (isDisk) return;
  if (!fs) throw new Error(`the plan has no file system on ${device}. Plan and deploy again.`);
  if (manifest.kind === ImageKind.TREE || (manifest.filesystem === fs.type && isAdoptable(fs.type))) return;
  throw new Error(
    `image ${manifest.name} holds ${manifest.filesystem || "no known file system"}, the scheme wants ` +
      `${fs.type} for ${fs.mount || device}. Both have to be the same, one of ext2, ext3, ext4, xfs and btrfs: ` +
      "change the scheme or the image.",
  );
}

async function checkFits({ target, manifest }: Order, devices: Devices): Promise<void> {
  // How much a tree takes is known when it is unpacked.
  if (manifest.kind === ImageKind.TREE) return;
  const path = deviceOf(devices, target.device);
  const size = await sizeOf(path);
  if (size >= manifest.sizeBytes) return;
  throw new Error(
    `image ${manifest.name} needs ${manifest.sizeBytes} bytes, ${path} has ${size}. Make ${target.device} larger in ` +
      "the scheme, or take a larger disk.",
  );
}

/** Gives in words what was done. */
async function put(order: Order, path: string, work: Work, progress: StepProgress): Promise<string> {
  const { manifest, fs } = order;
  const { context, mountPoint } = work;
  const tally =
    manifest.kind === ImageKind.TREE ? await unpack(order, path, work) : await write(order, path, work);
  progress.finished(tally);
  const { moved, written, copied, skipped } = tally;
  const moves = [
    `${inWords(moved)} moved`,
    `${inWords(written)} written`,
    ...(copied > 0 ? [`${inWords(copied)} copied on the disk`] : []),
    `${inWords(skipped)} skipped`,
  ].join(", ");
  if (manifest.kind === ImageKind.TREE) return `${manifest.name}: ${moves}, unpacked onto ${path}`;
  if (!fs) {
    context.progress({ activity: "fitting the partition table to the disk" });
    const grown = await settleDisk(path, manifest.rootPartition, mountPoint, context);
    return `${manifest.name}: ${moves}, on ${path}: ${grown}`;
  }
  context.progress({ activity: "checking and growing the file system" });
  await adoptFilesystem(fs, path, mountPoint, context);
  const size = formatBytes(await sizeOf(path));
  return `${manifest.name}: ${moves}, ${manifest.filesystem} grown to ${size} on ${path}`;
}

function inWords(bytes: number): string {
  return formatBytes(BigInt(bytes));
}

async function write({ target, located, manifest }: Order, path: string, work: Work): Promise<Tally> {
  const { action, context } = work;
  const digest = target.imageDigest;
  const { sources, formerDigests } = located;
  const { signal, log, attempt, identity } = context;
  const digests = formerDigests.filter((one) => one !== digest);
  const formers = await openFormers(digests, manifest, sources, identity.imageKey, { signal, log });
  // The node may have had this very image.
  if (formerDigests.includes(digest)) formers.push(manifest);
  const { verify } = action;
  return deliver(
    { path, manifest, digest, sources, formers, attempt, verify },
    { ...deliveryContext(digest, work), progress: work.show },
  );
}

function deliveryContext(digest: string, { action, context }: Work): Omit<DeliveryContext, "progress"> {
  const { images, signal, log, run } = context;
  return {
    signal,
    log,
    run,
    report: (source, fault) => images.report(digest, source, fault),
    relocate: async () => (await images.locate(digest, action.delivery, signal)).sources,
  };
}

/** Into a file system that is made for it. An attempt that was interrupted is begun anew. */
async function unpack(order: Order, path: string, work: Work): Promise<Tally> {
  const { target, located, manifest, plan, fs } = order;
  const { context, mountPoint } = work;
  const { run, signal } = context;
  if (!fs) throw new Error(`the plan has no file system on ${target.device}. Plan and deploy again.`);
  context.progress({ activity: `making ${fs.type} on ${path}` });
  const ids = filesystemIds(identifiersOf(plan, context), target.device);
  await run(mkfsCommand(fs, path, ids), { signal });
  const total = Number(manifest.sizeBytes);
  const tally: Tally = { total, moved: 0, fetched: 0, copied: 0, skipped: 0, written: 0, verified: 0 };
  const sources = new Sources(located.sources, deliveryContext(target.imageDigest, work));
  const onChunk = (stored: number) => {
    tally.moved += stored;
  };
  const stream = treeContent({ manifest, digest: target.imageDigest, sources, signal, onChunk });
  async function* counted() {
    for await (const bytes of stream) {
      yield bytes;
      tally.fetched += bytes.length;
      tally.written += bytes.length;
      work.show(tally, `unpacking ${manifest.name}`);
    }
  }
  const mount = { kind: "device", source: path, target: mountPoint, type: fs.type } as const;
  const options = ["--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "-p"];
  await withMounts([mount], context, async () => {
    await run(["tar", "-x", ...options, "-C", mountPoint], {
      signal,
      input: counted(),
      timeoutMs: Number.POSITIVE_INFINITY,
    });
    await run(["sync", "--file-system", mountPoint], { signal, timeoutMs: Number.POSITIVE_INFINITY });
  });
  return tally;
}

/** The progress of a step with several images, as one. */
class StepProgress {
  readonly #context: StepContext;
  readonly #totalBytes: bigint;
  #before: Tally | undefined;

  constructor(orders: readonly Order[], context: StepContext) {
    this.#context = context;
    this.#totalBytes = orders.reduce((sum, { manifest }) => sum + contentBytes(manifest), 0n);
  }

  show(tally: Readonly<Tally>, activity: string): void {
    const all = this.#before ? addTallies(this.#before, tally) : tally;
    this.#context.progress({
      currentBytes: BigInt(doneBytes(all)),
      totalBytes: this.#totalBytes,
      movedBytes: BigInt(all.moved),
      skippedBytes: BigInt(all.skipped),
      writtenBytes: BigInt(all.written),
      verifiedBytes: BigInt(all.verified),
      activity,
    });
  }

  finished(tally: Tally): void {
    this.#before = this.#before ? addTallies(this.#before, tally) : tally;
  }
}

function contentBytes({ kind, sizeBytes, extents }: ImageManifest): bigint {
  if (kind === ImageKind.TREE) return sizeBytes;
  return extents.reduce((sum, extent) => sum + BigInt(extent.sizeBytes), 0n);
}
