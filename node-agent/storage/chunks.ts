// Brings the chunks of an image onto a device: checked before they are written, the first MiB last, and
// without those that the device already holds.
//
// Memory: of each chunk in flight there are its stored bytes and its content, each at most 4 MiB, 1 MiB with
// the builder's images. With 6 in flight that is at most 48 MiB, and 12 MiB as a rule.
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { type Chunk, Chunk_Encoding, type ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import type { StepContext } from "../step.ts";

export type ChunkContext = Pick<StepContext, "images" | "progress" | "signal" | "attempt">;
export type ChunkTally = { contentBytes: bigint; movedBytes: bigint; skippedBytes: bigint };

type Job = {
  manifest: ImageManifest;
  digest: string;
  file: FileHandle;
  context: ChunkContext;
  tally: ChunkTally;
};

const headBytes = 1 << 20;
const batchSize = 64;
const chunksInFlight = 6;
const decompress = promisify(zstdDecompress);

/** Stops at the first bad chunk; those before it stay, for the next attempt. */
export async function writeChunks(
  file: FileHandle,
  manifest: ImageManifest,
  digest: string,
  context: ChunkContext,
): Promise<ChunkTally> {
  const tally: ChunkTally = { contentBytes: sumContent(manifest.chunks), movedBytes: 0n, skippedBytes: 0n };
  const job: Job = { manifest, digest, file, context, tally };
  const indexes = manifest.chunks.map((_, index) => index);
  const isHead = (index: number) => chunkAt(manifest, index).offset < headBytes;
  // Without its first MiB a device has no file system to boot from, neither an old one nor half of the new
  // one. So it goes first and comes back last, at every attempt.
  await writeAll(file, Buffer.alloc(Math.min(headBytes, Number(manifest.sizeBytes))), 0);
  await file.sync();
  const body = indexes.filter((index) => !isHead(index));
  await transfer(job, context.attempt > 1 ? await missing(job, body) : body);
  await file.sync();
  await transfer(job, indexes.filter(isHead));
  await file.sync();
  return tally;
}

/** Those of the chunks that the device does not hold already. */
async function missing(job: Job, indexes: number[]): Promise<number[]> {
  const { manifest, file, context, tally } = job;
  const absent: number[] = [];
  for (const index of indexes) {
    context.signal.throwIfAborted();
    const chunk = chunkAt(manifest, index);
    const content = Buffer.alloc(chunk.sizeBytes);
    await file.read(content, 0, content.length, Number(chunk.offset));
    if (sha256(content).equals(chunk.digest)) tally.skippedBytes += BigInt(chunk.sizeBytes);
    else absent.push(index);
    report(job, "comparing what the disk holds");
  }
  return absent;
}

/** Network, hashing and writing overlap: while chunks are decoded and written, the next ones arrive. */
async function transfer(job: Job, indexes: number[]): Promise<void> {
  const { manifest, context, digest } = job;
  const inFlight = new Set<Promise<void>>();
  const failures: unknown[] = [];
  try {
    for (let start = 0; start < indexes.length; start += batchSize) {
      const batch = indexes.slice(start, start + batchSize);
      let arrived = 0;
      for await (const { index, content } of context.images.chunks(digest, batch, context.signal)) {
        context.signal.throwIfAborted();
        if (index !== batch[arrived++]) throw outOfStep(manifest, `chunk ${index} out of turn`);
        checkStored(manifest, chunkAt(manifest, index), content);
        while (inFlight.size >= chunksInFlight) await Promise.race(inFlight);
        if (failures.length > 0) throw failures[0];
        const work: Promise<void> = place(job, chunkAt(manifest, index), content)
          .catch((error: unknown) => void failures.push(error))
          .finally(() => inFlight.delete(work));
        inFlight.add(work);
      }
      if (arrived < batch.length) throw outOfStep(manifest, `${arrived} of ${batch.length} chunks`);
    }
  } finally {
    await Promise.all(inFlight);
  }
  if (failures.length > 0) throw failures[0];
}

async function place(job: Job, chunk: Chunk, stored: Uint8Array): Promise<void> {
  const content = await decode(job.manifest, chunk, stored);
  await writeAll(job.file, content, Number(chunk.offset));
  job.tally.movedBytes += BigInt(chunk.sizeBytes);
  report(job, `writing ${job.manifest.name}`);
}

/** The stored bytes are checked before they are decoded: a decoder is no place for unchecked input. */
function checkStored(manifest: ImageManifest, chunk: Chunk, stored: Uint8Array): void {
  const found = sha256(stored);
  if (found.equals(chunk.storedDigest)) return;
  const expected = Buffer.from(chunk.storedDigest).toString("hex");
  throw new Error(
    `image ${manifest.name}: chunk at offset ${chunk.offset}: expected sha256 ${expected}, found ` +
      `${found.toString("hex")}; nothing of it was written. Repair the store with \`muster image repair\` and retry.`,
  );
}

async function decode(manifest: ImageManifest, chunk: Chunk, stored: Uint8Array): Promise<Uint8Array> {
  const content = await decodeAs(chunk, stored);
  if (content.length === chunk.sizeBytes) return content;
  throw new Error(
    `image ${manifest.name}: chunk at offset ${chunk.offset} has ${content.length} bytes of content, its ` +
      `manifest says ${chunk.sizeBytes}. Build the image again.`,
  );
}

async function decodeAs(chunk: Chunk, stored: Uint8Array): Promise<Uint8Array> {
  switch (chunk.encoding) {
    case Chunk_Encoding.RAW:
      return stored;
    case Chunk_Encoding.ZSTD:
      return decompress(stored, {
        chunkSize: Math.max(chunk.sizeBytes, 64),
        maxOutputLength: chunk.sizeBytes + 1,
      });
    default:
      throw new Error(
        `chunk at offset ${chunk.offset}: unknown encoding ${chunk.encoding}. Update the agent.`,
      );
  }
}

async function writeAll(file: FileHandle, content: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < content.length) {
    done += (await file.write(content, done, content.length - done, position + done)).bytesWritten;
  }
}

function report({ context, tally }: Job, activity: string): void {
  context.progress({
    currentBytes: tally.movedBytes + tally.skippedBytes,
    totalBytes: tally.contentBytes,
    movedBytes: tally.movedBytes,
    skippedBytes: tally.skippedBytes,
    activity,
  });
}

function chunkAt(manifest: ImageManifest, index: number): Chunk {
  const chunk = manifest.chunks[index];
  if (!chunk) throw outOfStep(manifest, `chunk ${index}, which the image has not`);
  return chunk;
}

function outOfStep(manifest: ImageManifest, what: string): Error {
  return new Error(`image ${manifest.name}: the daemon sent ${what}. Retry the step.`);
}

function sumContent(chunks: Chunk[]): bigint {
  return chunks.reduce((sum, chunk) => sum + BigInt(chunk.sizeBytes), 0n);
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
