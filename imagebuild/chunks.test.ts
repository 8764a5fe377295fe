import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Chunk_Encoding as Encoding } from "../proto/gen/muster/v1/image_pb.ts";
import { chunkBytes, chunkExtents, chunkPath, storeChunks } from "./chunks.ts";
import { blockBytes } from "./ext4.ts";

const MiB = 2 ** 20;
const perChunk = chunkBytes / blockBytes;

test("a chunk without a used block is left out, one with a single used block is not", () => {
  const free = [
    { first: perChunk, last: 2 * perChunk - 1 },
    { first: 2 * perChunk, last: 3 * perChunk - 2 },
  ];
  expect(chunkExtents(4 * MiB, free)).toEqual([
    { offset: 0, size: MiB },
    { offset: 2 * MiB, size: MiB },
    { offset: 3 * MiB, size: MiB },
  ]);
});

test("the last chunk may be short", () => {
  const size = MiB + 2 * blockBytes;
  expect(chunkExtents(size, [])).toEqual([
    { offset: 0, size: MiB },
    { offset: MiB, size: 2 * blockBytes },
  ]);
  expect(chunkExtents(size, [{ first: perChunk, last: perChunk + 1 }])).toEqual([{ offset: 0, size: MiB }]);
});

test("whatever is free, every used block is in exactly one chunk, and each chunk has a used block", () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 5 * perChunk }), (used) => {
      const free = used.flatMap((isUsed, block) => (isUsed ? [] : [{ first: block, last: block }]));
      const extents = chunkExtents(used.length * blockBytes, free);
      const covered = new Set<number>();
      for (const { offset, size } of extents) {
        const first = offset / blockBytes;
        const blocks = Array.from({ length: size / blockBytes }, (_, index) => first + index);
        expect(blocks.some((block) => used[block])).toBe(true);
        for (const block of blocks) covered.add(block);
      }
      expect(used.every((isUsed, block) => !isUsed || covered.has(block))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

test("chunks are stored by the digest of what is stored, zeros too", async () => {
  const directory = await mkdtemp(join(tmpdir(), "chunks-"));
  try {
    const noise = randomBytes(MiB);
    const text = Buffer.alloc(MiB, "muster ");
    const path = join(directory, "image");
    await writeFile(path, Buffer.concat([noise, text, Buffer.alloc(MiB)]));
    const extents = chunkExtents(3 * MiB, []);
    const chunks = await storeChunks({ path, extents, directory }, new AbortController().signal);
    expect(chunks.map(({ encoding }) => encoding)).toEqual([Encoding.RAW, Encoding.ZSTD, Encoding.ZSTD]);
    for (const [index, content] of [noise, text, Buffer.alloc(MiB)].entries()) {
      const chunk = chunks[index];
      if (!chunk) throw new Error(`there is no chunk ${index}`);
      const stored = await readFile(chunkPath(directory, chunk.storedDigest));
      expect(createHash("sha256").update(stored).digest().equals(chunk.storedDigest)).toBe(true);
      expect(stored.length).toBe(chunk.storedBytes);
      const decoded = chunk.encoding === Encoding.RAW ? stored : zstdDecompressSync(stored);
      expect(decoded.equals(content)).toBe(true);
      expect(createHash("sha256").update(content).digest().equals(chunk.digest)).toBe(true);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
