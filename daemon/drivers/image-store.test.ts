import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Chunk_Encoding, ChunkSchema, ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { ImageStore } from "./image-store.ts";

let root: string;
let built: string;
let store: ImageStore;
const contents = ["first", "second", "third", "first"].map((text) => Buffer.from(text.repeat(100)));
const sign = (bytes: Uint8Array) => new Uint8Array(createHash("sha512").update(bytes).digest());

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "muster-images-"));
  built = join(root, "built");
  store = new ImageStore(join(root, "images"), sign);
  await buildImage();
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

test("a registered image can be read back", async () => {
  const progress: string[] = [];
  const { digest, manifest, changed } = await store.register(built, (done, total) =>
    progress.push(`${done}/${total}`),
  );
  expect(changed).toBe(true);
  expect(progress).toEqual(["1/3", "2/3", "3/3"]);
  const bytes = await readFile(join(built, "manifest.binpb"));
  expect(await store.signed(digest)).toEqual({ manifest: bytes, signature: Buffer.from(sign(bytes)) });
  expect(await store.manifest(digest)).toEqual(manifest);
  expect(await store.chunk(sha256(content(1)))).toEqual(content(1));
  expect(await store.verify(digest)).toEqual({ checked: 3, bad: [] });
  expect(await store.signed("0".repeat(64))).toBeUndefined();
  expect(await store.manifest("0".repeat(64))).toBeUndefined();
});

test("registering it again changes nothing and copies nothing", async () => {
  await store.register(built);
  const before = await stat(chunkPath("images", 0));
  expect((await store.register(built)).changed).toBe(false);
  expect((await stat(chunkPath("images", 0))).ino).toBe(before.ino);
});

test("another signing key signs the image anew", async () => {
  const { digest } = await store.register(built);
  const rekeyed = new ImageStore(join(root, "images"), () => new Uint8Array([7]));
  expect((await rekeyed.register(built)).changed).toBe(true);
  expect((await rekeyed.signed(digest))?.signature).toEqual(Buffer.from([7]));
});

test("a damaged or missing chunk keeps the image out, and the chunk is named", async () => {
  await flip(chunkPath("built", 1));
  const name = hex(content(1));
  await expect(store.register(built)).rejects.toThrow(
    new RegExp(`chunk ${name} at offset 4096: .* has 600 bytes with digest [0-9a-f]{64}, expected 600 bytes`),
  );
  await rm(chunkPath("built", 1));
  await expect(store.register(built)).rejects.toThrow(
    new RegExp(`chunk ${name} at offset 4096: .* is missing`),
  );
  const files = await readdir(join(root, "images"), { recursive: true });
  expect(files.filter((file) => file.includes("manifests") || file.endsWith(".new"))).toEqual([]);
});

test("a byte flipped in the store is found, told, and repaired; nothing else is rewritten", async () => {
  const { digest } = await store.register(built);
  await flip(chunkPath("images", 1));
  await rm(chunkPath("images", 2));
  const untouched = await stat(chunkPath("images", 0));
  const foundDigest = hex(await readFile(chunkPath("images", 1)));
  expect((await store.verify(digest)).bad).toEqual([
    { expectedDigest: hex(content(1)), foundDigest, offset: 4096n },
    { expectedDigest: hex(content(2)), foundDigest: "", offset: 8192n },
  ]);
  await expect(store.chunk(sha256(content(2)))).rejects.toThrow(
    /is missing from the store; repair the image/,
  );

  expect(await store.repair(digest, built)).toBe(2);
  expect((await store.verify(digest)).bad).toEqual([]);
  expect(await store.repair(digest, built)).toBe(0);
  expect((await stat(chunkPath("images", 0))).ino).toBe(untouched.ino);
});

test("damage to the built image does not reach the store, and cannot repair it", async () => {
  const { digest } = await store.register(built);
  await flip(chunkPath("built", 0));
  expect((await store.verify(digest)).bad).toEqual([]);
  await rm(chunkPath("images", 0));
  await expect(store.repair(digest, built)).rejects.toMatchObject({ reason: "DAMAGED" });
});

test("says so if there is no image, no such digest, or nonsense in the manifest", async () => {
  await expect(store.register(join(root, "none"))).rejects.toThrow(
    /none\/manifest\.binpb: no such file; give the/,
  );
  await expect(store.verify("0".repeat(64))).rejects.toMatchObject({ reason: "NOT_FOUND" });
  await expect(store.manifest("../x")).rejects.toThrow(/"\.\.\/x" is not an image digest/);
  await writeFile(join(built, "manifest.binpb"), "hello");
  await expect(store.register(built)).rejects.toThrow(/is not an image manifest/);
  await buildImage(4096n);
  await expect(store.register(built)).rejects.toThrow(
    /chunk 1 at offset 4096 reaches beyond the image's 4096 bytes/,
  );
});

test("a damaged manifest in the store is not handed out as good", async () => {
  const { digest } = await store.register(built);
  await flip(join(root, "images", "manifests", `${digest}.binpb`));
  const restarted = new ImageStore(join(root, "images"), sign);
  await expect(restarted.manifest(digest)).rejects.toThrow(
    /is damaged: its digest is .*; register the image again/,
  );
  expect((await restarted.register(built)).changed).toBe(true);
  expect((await restarted.manifest(digest))?.name).toBe("tiny");
});

async function buildImage(sizeBytes = 16384n): Promise<void> {
  const chunks = contents.map((bytes, i) =>
    create(ChunkSchema, {
      offset: BigInt(i * 4096),
      sizeBytes: bytes.length,
      digest: sha256(bytes),
      storedDigest: sha256(bytes),
      storedBytes: bytes.length,
      encoding: Chunk_Encoding.RAW,
    }),
  );
  const manifest = create(ImageManifestSchema, { name: "tiny", sizeBytes, chunkBytes: 4096, chunks });
  await mkdir(built, { recursive: true });
  await writeFile(join(built, "manifest.binpb"), toBinary(ImageManifestSchema, manifest));
  for (const [i, bytes] of contents.entries()) {
    await mkdir(join(chunkPath("built", i), ".."), { recursive: true });
    await writeFile(chunkPath("built", i), bytes);
  }
}

async function flip(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[2] = (bytes[2] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

function content(i: number): Buffer {
  const bytes = contents[i];
  if (!bytes) throw new Error(`there is no content ${i}`);
  return bytes;
}

function chunkPath(where: "built" | "images", i: number): string {
  const name = hex(content(i));
  return join(root, where, "chunks", name.slice(0, 2), name);
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
const hex = (bytes: Uint8Array) => sha256(bytes).toString("hex");
