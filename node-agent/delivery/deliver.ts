// Brings one image onto one device (or file): moves only what is not there, verifies everything before it is written,
// and leaves nothing to boot from until all is there.
//
// Memory, beside that of the program and its threads: 28 MiB for each lane (lane.ts), 1 MiB (at most 5 MiB) each for
// what the target begins with before and after, and 1 MiB of zeros: 63 MiB with two lanes.
import type { ImageSource } from "../../proto/gen/muster/v1/delivery_pb.ts";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { Verify } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Runner } from "../runner.ts";
import { fetchChunks } from "./fetch-chunks.ts";
import { halfBytes, type Piece } from "./lane-protocol.ts";
import { Lanes, lanesByDefault } from "./lanes.ts";
import { lookFor, movePieces } from "./move-pieces.ts";
import {
  type Copy,
  extentAt,
  headBytes,
  headEnd,
  planChecks,
  planCopies,
  planFetches,
} from "./plan-writes.ts";
import { Sources } from "./sources.ts";
import { joinSwarm } from "./swarm.ts";
import { newTally, type Tally } from "./tally.ts";
import {
  alignment,
  closeTarget,
  openTarget,
  pageAligned,
  readTarget,
  syncTarget,
  type Target,
  writeTarget,
  writeZeros,
} from "./target.ts";
import { verifyBody, verifyHead } from "./verify-target.ts";
import { zeroRanges, zerosFrom } from "./zero-ranges.ts";

export type Delivery = {
  /** A block device that nobody uses, or a file; as large as the image at least. */
  path: string;
  manifest: ImageManifest;
  /** Hexadecimal, of the manifest. */
  digest: string;
  /** Best first. */
  sources: readonly ImageSource[];
  /** Of images that the target may hold: the newest first. */
  formers: readonly ImageManifest[];
  /** After the first, whatever an earlier one has brought is looked for. */
  attempt: number;
  verify: Verify;
  lanes?: number;
};

export type DeliveryContext = {
  signal: AbortSignal;
  /** Called often. */
  progress(tally: Readonly<Tally>, activity: string): void;
  /** Tells the daemon that a source gives something other than what was asked for. */
  report(source: ImageSource, fault: string): Promise<void>;
  /** Where the image is to be had now; absent if that cannot change. */
  relocate?(): Promise<ImageSource[]>;
  log(line: string): void;
  /** For blkdiscard; without it zeros are written. */
  run?: Runner;
  /** How long all sources may be away. */
  patienceMs?: number;
};

export async function deliver(delivery: Delivery, context: DeliveryContext): Promise<Tally> {
  const target = await openTarget(delivery.path);
  try {
    checkFits(delivery.manifest, target);
    const head = pageAligned(headEnd(delivery.manifest), true);
    const snapshot = await takeSnapshot(delivery, target);
    const setup = { target, head, snapshot, roomBytes: largestChunk(delivery.manifest) };
    const laneCount = delivery.lanes ?? lanesByDefault;
    await using lanes = new Lanes(laneCount, setup, context.signal);
    return await new Run(delivery, context, { ...setup, lanes, laneCount }).run();
  } finally {
    await closeTarget(target);
  }
}

type Parts = {
  target: Target;
  head: Uint8Array;
  snapshot: Uint8Array;
  lanes: Lanes;
  laneCount: number;
};

class Run {
  readonly #delivery: Delivery;
  readonly #context: DeliveryContext;
  readonly #parts: Parts;
  readonly #tally: Tally;
  #activity = "";

  constructor(delivery: Delivery, context: DeliveryContext, parts: Parts) {
    this.#delivery = delivery;
    this.#context = context;
    this.#parts = parts;
    this.#tally = newTally(delivery.manifest.extents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  }

  async run(): Promise<Tally> {
    const { manifest, formers, attempt, verify } = this.#delivery;
    const { target, head, lanes, snapshot } = this.#parts;
    const { signal, run } = this.#context;
    signal.throwIfAborted();
    await writeZeros(target, 0, Math.min(headBytes, Number(manifest.sizeBytes)));
    await syncTarget(target);
    const verified = await this.#check(planChecks(manifest, formers, attempt));
    const isVerified = new Set(verified);
    const missing = [...manifest.extents.keys()].filter((index) => !isVerified.has(index));
    const snapshotBytes = snapshot.length;
    const common = { manifest, formers, verified, missing, snapshotBytes };
    const plan = planCopies({ ...common, targetBytes: target.sizeBytes, batchBytes: halfBytes });
    const notCopied = await this.#copy(plan.batches);
    const zeros = zerosFrom(manifest.zeros, head.length);
    // Whatever was to be copied from there has been read.
    await Promise.all([zeroRanges(target, zeros, run, signal), this.#fetch([...plan.fetch, ...notCopied])]);
    await syncTarget(target);
    const check = { manifest, target, lanes, head, signal, zeros };
    const onRead = (bytes: number) => {
      this.#tally.verified += bytes;
      this.#show("reading back");
    };
    const reads = verify === Verify.SAMPLE || verify === Verify.FULL;
    if (reads) await verifyBody(check, verify, onRead);
    await this.#writeHead();
    if (reads) await verifyHead(check, onRead);
    this.#show("written");
    return this.#tally;
  }

  /** Which of these extents are in their place. */
  async #check(extents: number[]): Promise<number[]> {
    const { lanes } = this.#parts;
    const pieces = extents.map((extent) => this.#piece(extent));
    const verified: number[] = [];
    const activity = "comparing what the disk holds";
    if (extents.length) this.#show(activity);
    await lookFor(pieces, this.#parts.head.length, lanes, this.#context.signal, (index, isThere) => {
      const extent = extents[index];
      if (extent === undefined || !isThere) return;
      verified.push(extent);
      this.#tally.skipped += extentAt(this.#delivery.manifest, extent).sizeBytes;
      this.#show(activity);
    });
    return verified;
  }

  /** Gives the extents that were not where they should have been. */
  async #copy(batches: Copy[][]): Promise<number[]> {
    const { lanes } = this.#parts;
    const failed: number[] = [];
    const pieces = batches.map((batch) => batch.map(({ extent, from }) => this.#piece(extent, from)));
    await movePieces(pieces, lanes, this.#context.signal, (batch, index, isMoved) => {
      const extent = batches[batch]?.[index]?.extent;
      if (extent === undefined) return;
      if (!isMoved) {
        failed.push(extent);
        return;
      }
      const { sizeBytes } = extentAt(this.#delivery.manifest, extent);
      this.#tally.copied += sizeBytes;
      this.#tally.written += sizeBytes;
      this.#show("copying on the disk");
    });
    return failed;
  }

  async #fetch(extents: number[]): Promise<void> {
    const { manifest, digest, sources } = this.#delivery;
    const { lanes, laneCount } = this.#parts;
    const { signal } = this.#context;
    const fetches = planFetches(manifest, extents);
    if (fetches.length === 0) return;
    await using swarm = await joinSwarm(sources, manifest, digest, this.#context);
    const job = { manifest, digest, fetches, laneCount, signal };
    const onPlaced: Parameters<typeof fetchChunks>[0]["onPlaced"] = (fetch, chunk) => {
      const bytes = fetch.extents.reduce((sum, one) => sum + extentAt(manifest, one).sizeBytes, 0);
      this.#tally.moved += chunk.storedBytes;
      this.#tally.fetched += bytes;
      this.#tally.written += bytes;
      this.#show(`writing ${manifest.name}`);
    };
    await fetchChunks({ ...job, sources: new Sources(swarm.sources, this.#context), onPlaced }, lanes);
  }

  async #writeHead(): Promise<void> {
    const { target, head } = this.#parts;
    this.#context.signal.throwIfAborted();
    // The first block comes last, in a write of its own: what is torn is not taken for whole.
    const first = Math.min(alignment, head.length);
    await writeTarget(target, head.subarray(first), first);
    await syncTarget(target);
    await writeTarget(target, head.subarray(0, first), 0);
    await syncTarget(target);
  }

  #piece(extent: number, from?: number): Piece {
    const { offset, sizeBytes, digest } = extentAt(this.#delivery.manifest, extent);
    const to = Number(offset);
    return { from: from ?? to, to, sizeBytes, digest: Buffer.from(digest).toString("hex") };
  }

  #show(activity: string): void {
    this.#activity = activity;
    this.#context.progress(this.#tally, this.#activity);
  }
}

function checkFits(manifest: ImageManifest, { path, sizeBytes }: Target): void {
  if (sizeBytes >= manifest.sizeBytes) return;
  throw new Error(
    `image ${manifest.name} needs ${manifest.sizeBytes} bytes, ${path} has ${sizeBytes}. ` +
      "Make it larger in the scheme.",
  );
}

/** What of the target's beginning may be needed, read before it is zeroed. */
async function takeSnapshot({ manifest, formers, attempt }: Delivery, target: Target): Promise<Uint8Array> {
  const needed = [...(attempt > 1 ? [manifest] : []), ...formers].map(headEnd);
  const bytes = pageAligned(Math.min(target.sizeBytes, Math.max(0, ...needed)), true);
  await readTarget(target, bytes, 0);
  return bytes;
}

function largestChunk({ chunks }: ImageManifest): number {
  return chunks.reduce((most, chunk) => Math.max(most, chunk.sizeBytes), 0) + 1;
}
