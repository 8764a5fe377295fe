// Cuts a file system into chunks and stores them by digest. Blocks that the file system does not use are no
// content; blocks that it uses are, even when they are zero, since the target's disk may hold anything.
import { createHash } from "node:crypto";
import { access, mkdir, open, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { type Chunk, ChunkSchema, Chunk_Encoding as Encoding } from "../proto/gen/muster/v1/image_pb.ts";
import { type BlockRange, blockBytes } from "./ext4.ts";

export const chunkBytes = 1 << 20;
const compressionLevel = 3;
/** As many as node has threads for compression. */
const parallel = 4;

export type Extent = { offset: number; size: number };

/** The chunk-sized pieces, aligned, that hold at least one used block. */
export function chunkExtents(sizeBytes: number, free: BlockRange[]): Extent[] {
  const count = Math.ceil(sizeBytes / chunkBytes);
  const perChunk = chunkBytes / blockBytes;
  const freeInChunk = new Uint32Array(count);
  for (const { first, last } of free) {
    for (let chunk = Math.floor(first / perChunk); chunk <= Math.floor(last / perChunk); chunk++) {
      const from = Math.max(first, chunk * perChunk);
      const to = Math.min(last, (chunk + 1) * perChunk - 1);
      freeInChunk[chunk] = (freeInChunk[chunk] ?? 0) + to - from + 1;
    }
  }
  const extents: Extent[] = [];
  for (let chunk = 0; chunk < count; chunk++) {
    const offset = chunk * chunkBytes;
    const size = Math.min(chunkBytes, sizeBytes - offset);
    if ((freeInChunk[chunk] ?? 0) * blockBytes < size) extents.push({ offset, size });
  }
  return extents;
}

/** Writes `<directory>/<first two digits>/<stored digest>` for every extent of the file. */
export async function storeChunks(
  input: { path: string; extents: Extent[]; directory: string },
  signal: AbortSignal,
): Promise<Chunk[]> {
  const chunks: Chunk[] = new Array(input.extents.length);
  const file = await open(input.path);
  let next = 0;
  const work = async () => {
    for (let index = next++; index < input.extents.length; index = next++) {
      signal.throwIfAborted();
      const extent = input.extents[index] as Extent;
      const content = Buffer.alloc(extent.size);
      const { bytesRead } = await file.read(content, 0, extent.size, extent.offset);
      if (bytesRead !== extent.size)
        throw new Error(`${input.path} ends within the chunk at ${extent.offset}`);
      chunks[index] = await storeChunk(content, extent.offset, input.directory);
    }
  };
  try {
    await Promise.all(Array.from({ length: parallel }, work));
  } finally {
    await file.close();
  }
  return chunks;
}

const compress = promisify(zstdCompress);
const compressionParams = { [constants.ZSTD_c_compressionLevel]: compressionLevel };

async function storeChunk(content: Buffer, offset: number, directory: string): Promise<Chunk> {
  const compressed = await compress(content, { params: compressionParams });
  const shrinks = compressed.length < content.length;
  const stored = shrinks ? compressed : content;
  const storedDigest = sha256(stored);
  await writeOnce(chunkPath(directory, storedDigest), stored);
  return create(ChunkSchema, {
    offset: BigInt(offset),
    sizeBytes: content.length,
    digest: sha256(content),
    storedDigest,
    storedBytes: stored.length,
    encoding: shrinks ? Encoding.ZSTD : Encoding.RAW,
  });
}

export function chunkPath(directory: string, storedDigest: Uint8Array): string {
  const name = Buffer.from(storedDigest).toString("hex");
  return join(directory, name.slice(0, 2), name);
}

async function writeOnce(path: string, content: Uint8Array): Promise<void> {
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

function sha256(content: Uint8Array): Buffer {
  return createHash("sha256").update(content).digest();
}
