// Looking at a device in samples: all of a small one; of a large one both ends and pieces spread evenly.
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { isZero } from "./zeros.ts";

export type Sample = { position: bigint; bytes: number; isZero: boolean; digest: string };
export type Samples = Sample[];

const sampleBytes = 1n << 20n;
const sampleCount = 128n;
/** Up to this size everything is read. */
const wholeLimitBytes = 1n << 30n;
/** What is cleared at each end: GPT, md, LVM and whatever firmware RAID has there. */
const endBytes = 4n << 20n;

export async function readSamples(
  path: string,
  sizeBytes: bigint,
  where: "spread" | "ends" = "spread",
): Promise<Samples> {
  const file = await open(path, "r");
  try {
    const samples: Samples = [];
    const buffer = Buffer.alloc(Number(sampleBytes));
    for (const position of where === "ends" ? endPositions(sizeBytes) : positions(sizeBytes)) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, Number(position));
      // What was not read must not pass for zeros.
      if (bytesRead < Math.min(buffer.length, Number(sizeBytes - position))) {
        throw new Error(`${path} ends at byte ${position + BigInt(bytesRead)}: has it been taken away?`);
      }
      const content = buffer.subarray(0, bytesRead);
      const digest = createHash("sha256").update(content).digest("hex");
      samples.push({ position, bytes: bytesRead, isZero: isZero(content), digest });
    }
    return samples;
  } finally {
    await file.close();
  }
}

function positions(sizeBytes: bigint): bigint[] {
  if (sizeBytes <= wholeLimitBytes) return range(0n, sizeBytes);
  const last = sizeBytes - sampleBytes;
  const all = Array.from({ length: Number(sampleCount) }, (_, index) => {
    // Whole pages, so that what is read here is what the disk was asked for.
    return ((last * BigInt(index)) / (sampleCount - 1n) / 4096n) * 4096n;
  });
  return [...new Set(all)];
}

function endPositions(sizeBytes: bigint): bigint[] {
  if (sizeBytes <= 2n * endBytes) return range(0n, sizeBytes);
  return [...range(0n, endBytes), ...range(sizeBytes - endBytes, sizeBytes)];
}

function range(start: bigint, end: bigint): bigint[] {
  const all: bigint[] = [];
  for (let position = start; position < end; position += sampleBytes) all.push(position);
  return all;
}

/** Zeros to the first and the last 4 MiB; gives how many bytes that are. */
export async function clearEnds(path: string, sizeBytes: bigint): Promise<bigint> {
  const file = await open(path, "r+");
  let cleared = 0n;
  try {
    for (const position of endPositions(sizeBytes)) {
      const left = sizeBytes - position;
      const length = Number(left < sampleBytes ? left : sampleBytes);
      await writeAll(file, Buffer.alloc(length), Number(position));
      cleared += BigInt(length);
    }
    await file.sync();
    return cleared;
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, content: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < content.length) {
    done += (await file.write(content, done, content.length - done, position + done)).bytesWritten;
  }
}
