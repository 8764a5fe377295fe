import { createHash, randomBytes } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Chunk_Encoding, ImageKind, ImageManifestSchema } from "../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, chunkName, manifestFile } from "../proto/image/layout.ts";
import { manifestFault } from "../proto/image/manifest.ts";
import { openChunk } from "./former.ts";
import { type PackedImage, packImage } from "./pack-image.ts";
import type { Part } from "./parts.ts";

const KiB = 1024;
let root: string;
let store: string;
let built: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "packer-"));
  store = join(root, "images");
  built = join(root, "built");
});
afterEach(() => rm(root, { recursive: true }));

type Options = { name?: string; signal?: AbortSignal; blockBytes?: 512 | 4096 };

async function* inParts(image: Buffer): AsyncGenerator<Part> {
  for (let offset = 0; offset < image.length; offset += 1 << 20) {
    yield { offset, content: image.subarray(offset, offset + (1 << 20)) };
  }
}

async function pack(
  image: Buffer,
  { name = "tiny", signal, blockBytes = 4096 }: Options = {},
): Promise<PackedImage> {
  await rm(built, { recursive: true, force: true });
  await mkdir(built);
  return packImage({
    name,
    blockBytes,
    parts: inParts(image),
    size: () => image.length,
    directory: built,
    store,
    signal: signal ?? new AbortController().signal,
  });
}

/** As the daemon takes an image into its store. */
async function register(packed: PackedImage, name = "tiny", time = 1): Promise<void> {
  const { counts: _, ...lists } = packed;
  const manifest = create(ImageManifestSchema, {
    ...lists,
    name,
    kind: ImageKind.DISK,
    buildTime: timestampFromMs(time * 1000),
  });
  expect(manifestFault(manifest)).toBeUndefined();
  const bytes = toBinary(ImageManifestSchema, manifest);
  await mkdir(join(store, "manifests"), { recursive: true });
  await writeFile(join(store, manifestFile(createHash("sha256").update(bytes).digest("hex"))), bytes);
  if ((await readdir(built)).length > 0)
    await cp(join(built, "chunks"), join(store, "chunks"), { recursive: true });
}

/** The image as a node would put it together from the chunks of both places. */
async function unpack(packed: PackedImage): Promise<Buffer> {
  const image = Buffer.alloc(Number(packed.sizeBytes));
  const contents = await Promise.all(
    packed.chunks.map(async (chunk) => {
      const file = chunkFile(chunkName(chunk));
      const bytes = await readFile(join(built, file)).catch(() => readFile(join(store, file)));
      return openChunk(chunk, bytes, file);
    }),
  );
  for (const { offset, chunk, chunkOffset, sizeBytes, digest } of packed.extents) {
    const content = contents[chunk]?.subarray(chunkOffset, chunkOffset + sizeBytes) ?? Buffer.alloc(0);
    expect(createHash("sha256").update(content).digest().equals(digest)).toBe(true);
    content.copy(image, Number(offset));
  }
  return image;
}

const written = async () =>
  (await readdir(built, { recursive: true }))
    .filter((file) => file.split("/").length === 3)
    .map((file) => file.slice(10));

test("an image comes back from its chunks, which have the names of what is stored", async () => {
  const image = Buffer.concat([
    randomBytes(700 * KiB),
    Buffer.alloc(300 * KiB),
    Buffer.alloc(900 * KiB, "muster "),
  ]);
  const packed = await pack(image);
  expect((await unpack(packed)).equals(image)).toBe(true);
  expect(packed.zeros.map(({ offset, sizeBytes }) => [offset, sizeBytes])).toEqual([
    [BigInt(700 * KiB), BigInt(300 * KiB)],
  ]);
  expect(packed.chunks[0]?.encoding).toBe(Chunk_Encoding.RAW);
  expect(packed.chunks.at(-1)?.encoding).toBe(Chunk_Encoding.ZSTD);
  expect((await written()).sort()).toEqual(packed.chunks.map(chunkName).sort());
  expect(packed.counts.content).toBe(1600 * KiB);
  expect(packed.chunks.every(({ sizeBytes }) => sizeBytes <= 512 * KiB)).toBe(true);
});

test("content of which only an eighth can be compressed is", async () => {
  const image = Buffer.concat([
    randomBytes(160 * KiB),
    Buffer.alloc(64 * KiB, "muster "),
    randomBytes(160 * KiB),
  ]);
  const { chunks } = await pack(image);
  expect(chunks.map(({ encoding }) => encoding)).toEqual([Chunk_Encoding.ZSTD]);
});

test("the same image gives the same chunks", async () => {
  const image = Buffer.concat([randomBytes(1 << 20), Buffer.alloc(2 << 20, "abcdefg")]);
  const first = (await pack(image)).chunks;
  expect((await pack(image)).chunks).toEqual(first);
});

test("content that is in an image several times is stored once", async () => {
  const content = randomBytes(1 << 20);
  const packed = await pack(Buffer.concat([content, content, content]));
  expect(packed.counts.content).toBe(3 << 20);
  expect(packed.counts.fresh).toBeLessThan(1.6 * (1 << 20));
  expect((await unpack(packed)).equals(Buffer.concat([content, content, content]))).toBe(true);
});

test("a second version refers to the chunks of the first, and only what is new is stored", async () => {
  const old = randomBytes(6 << 20);
  await register(await pack(old));
  const image = Buffer.concat([old.subarray(0, 2 << 20), randomBytes(256 * KiB), old.subarray(2 << 20)]);
  const packed = await pack(image);
  expect(packed.counts.fresh).toBeLessThan(700 * KiB);
  expect(packed.counts.again).toBe(0);
  expect((await written()).length).toBeLessThanOrEqual(2);
  expect((await unpack(packed)).equals(image)).toBe(true);
});

test("an image of another name, or one of which the store lacks chunks, is not referred to", async () => {
  const image = randomBytes(1 << 20);
  await register(await pack(image), "other");
  expect((await pack(image)).counts.fresh).toBe(1 << 20);
  await register(await pack(image));
  await rm(join(store, "chunks"), { recursive: true });
  expect((await pack(image)).counts.fresh).toBe(1 << 20);
});

test("what is left of a chunk that is hardly used any more is stored again, apart from what is new", async () => {
  const old = randomBytes(4 << 20);
  const first = await pack(old);
  await register(first);
  // 96 KiB at most of any former chunk, in places of their own.
  const kept = first.chunks.flatMap((_, index) => {
    const extent = first.extents.find(({ chunk, sizeBytes }) => chunk === index && sizeBytes < 200 * KiB);
    return extent ? [old.subarray(Number(extent.offset), Number(extent.offset) + extent.sizeBytes)] : [];
  });
  const fresh = randomBytes(300 * KiB);
  const image = Buffer.concat([...kept.flatMap((content) => [content, Buffer.alloc(4096)]), fresh]);
  const packed = await pack(image);
  expect(packed.counts.again).toBeGreaterThan(100 * KiB);
  expect(packed.counts.fresh).toBe(packed.counts.again + fresh.length);
  expect((await unpack(packed)).equals(image)).toBe(true);
  const isOld = (content: Uint8Array) => old.includes(content);
  for (const [index] of packed.chunks.entries()) {
    const kinds = packed.extents
      .filter(({ chunk }) => chunk === index)
      .map(({ offset, sizeBytes }) => isOld(image.subarray(Number(offset), Number(offset) + sizeBytes)));
    expect(new Set(kinds).size).toBe(1);
  }
  const former = new Set(first.chunks.map(chunkName));
  expect(packed.chunks.map(chunkName).filter((name) => former.has(name)).length).toBeLessThan(
    first.chunks.length / 2,
  );
});

test("a damaged former chunk is named when its content is needed", async () => {
  const old = randomBytes(4 << 20);
  const first = await pack(old);
  await register(first);
  const extent = first.extents[1];
  const chunk = first.chunks[extent?.chunk ?? 0];
  if (!extent || !chunk) throw new Error("there is no second extent");
  await writeFile(join(store, chunkFile(chunkName(chunk))), randomBytes(chunk.storedBytes));
  const image = old.subarray(Number(extent.offset), Number(extent.offset) + extent.sizeBytes);
  await expect(pack(image)).rejects.toThrow(
    new RegExp(`chunk ${chunkName(chunk)}: .* with digest .* \`muster image repair\``),
  );
});

test("a chunk that cannot be written ends it", async () => {
  const image = randomBytes(8 << 20);
  const file = join(root, "file");
  await writeFile(file, "");
  const failing = packImage({
    name: "tiny",
    blockBytes: 4096,
    parts: inParts(image),
    size: () => image.length,
    directory: file,
    store,
    signal: new AbortController().signal,
  });
  await expect(failing).rejects.toThrow("ENOTDIR");
});

test("an interruption ends it with its reason", async () => {
  const interruption = new AbortController();
  interruption.abort(new Error("interrupted by SIGINT"));
  await expect(pack(randomBytes(4 << 20), { signal: interruption.signal })).rejects.toThrow(
    "interrupted by SIGINT",
  );
});
