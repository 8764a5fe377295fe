// Registering, reading, verifying and repairing images on real files.
import { createHash } from "node:crypto";
import { access, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chunkFile } from "../../proto/image/layout.ts";
import { ImageFiles } from "./image-files.ts";
import { blocks, nameOf, writeBuiltImage } from "./image-fixture.ts";
import { ImageStore } from "./image-store.ts";

let root: string;
let built: string;
let store: ImageStore;
const contents = ["first", "second", "third", "first"].map((text) => blocks(text));
const sign = (bytes: Uint8Array) => new Uint8Array(createHash("sha512").update(bytes).digest());

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "muster-images-"));
  built = join(root, "built");
  store = new ImageStore(join(root, "images"), sign);
  await writeBuiltImage(built, contents);
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

test("a registered image can be read back, also without the key", async () => {
  const progress: string[] = [];
  const onProgress = (done: number, total: number) => progress.push(`${done}/${total}`);
  const { digest, manifest, changed } = await store.register(built, { onProgress });
  expect(changed).toBe(true);
  expect(progress).toEqual(["1/3", "2/3", "3/3"]);
  const bytes = await readFile(join(built, "manifest.binpb"));
  for (const reader of [store, new ImageFiles(join(root, "images"))]) {
    expect(await reader.signed(digest)).toEqual({ manifest: bytes, signature: Buffer.from(sign(bytes)) });
    expect(await reader.manifest(digest)).toEqual(manifest);
    expect(await readFile(reader.chunkPath(nameOf(content(1))))).toEqual(content(1));
    expect(await reader.signed("0".repeat(64))).toBeUndefined();
    expect(await reader.manifest("0".repeat(64))).toBeUndefined();
    expect(() => reader.chunkPath("../../x")).toThrow(/"..\/..\/x" is not an image digest/);
  }
  expect(await store.verify(digest)).toEqual({ total: 3, checked: 3, bad: [] });
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

test("chunks that the store has need not be in the directory", async () => {
  await store.register(built);
  const next = join(root, "next");
  await writeBuiltImage(next, [content(0), content(1), blocks("new")]);
  for (const i of [0, 1]) await rm(join(next, chunkFile(nameOf(content(i)))));
  const { digest } = await store.register(next);
  expect(await store.verify(digest)).toEqual({ total: 3, checked: 3, bad: [] });
});

describe("what is damaged or missing", () => {
  test.each([{ move: false }, { move: true }])("keeps all of the image out (%o)", async ({ move }) => {
    await flip(chunkPath("built", 1));
    const name = nameOf(content(1));
    await expect(store.register(built, { move })).rejects.toThrow(
      new RegExp(`chunk ${name} at offset 4096: .* has 4096 bytes with digest [0-9a-f]{64}, expected 4096`),
    );
    await writeFile(chunkPath("built", 1), "short");
    await expect(store.register(built, { move })).rejects.toThrow(/has 5 bytes, expected 4096 bytes/);
    await rm(chunkPath("built", 1));
    await expect(store.register(built, { move })).rejects.toThrow(
      new RegExp(`chunk ${name} at offset 4096: .* is missing`),
    );
    expect(await filesIn("images")).toEqual([]);
    // What was good is still where it was.
    expect(await readFile(chunkPath("built", 0))).toEqual(content(0));
  });

  test("is said of what is no image, no such digest, or nonsense in the manifest", async () => {
    await expect(store.register(join(root, "none"))).rejects.toThrow(
      /none\/manifest\.binpb: no such file; give the/,
    );
    await expect(store.verify("0".repeat(64))).rejects.toMatchObject({ reason: "NOT_FOUND" });
    await expect(store.manifest("../x")).rejects.toThrow(/"\.\.\/x" is not an image digest/);
    await writeFile(join(built, "manifest.binpb"), "hello");
    await expect(store.register(built)).rejects.toThrow(/is not an image manifest/);
    await writeBuiltImage(built, contents, { sizeBytes: 4096n });
    await expect(store.register(built)).rejects.toThrow(
      /extent 1 at offset 4096 reaches beyond the image's 4096 bytes/,
    );
  });

  test("in the store is found, told by where it matters first, and repaired; nothing else is rewritten", async () => {
    const { digest } = await store.register(built);
    await flip(chunkPath("images", 1));
    await rm(chunkPath("images", 2));
    const untouched = await stat(chunkPath("images", 0));
    const foundDigest = nameOf(await readFile(chunkPath("images", 1)));
    const second = { expectedDigest: nameOf(content(1)), foundDigest, offset: 4096n };
    const third = { expectedDigest: nameOf(content(2)), foundDigest: "", offset: 8192n };
    expect((await store.verify(digest)).bad).toEqual([second, third]);
    const part = { first: 1, count: 1 };
    expect(await store.verify(digest, part)).toEqual({ total: 3, checked: 1, bad: [second] });

    expect(await store.repair(digest, built, part)).toEqual({ total: 3, repaired: 1 });
    expect((await store.verify(digest)).bad).toEqual([third]);
    expect(await store.repair(digest, built)).toEqual({ total: 3, repaired: 1 });
    expect((await store.verify(digest)).bad).toEqual([]);
    expect(await store.repair(digest, built)).toEqual({ total: 3, repaired: 0 });
    expect((await stat(chunkPath("images", 0))).ino).toBe(untouched.ino);
  });

  test("of the built image does not reach the store, and cannot repair it", async () => {
    const { digest } = await store.register(built);
    await flip(chunkPath("built", 0));
    expect((await store.verify(digest)).bad).toEqual([]);
    await rm(chunkPath("images", 0));
    await expect(store.repair(digest, built)).rejects.toMatchObject({ reason: "DAMAGED" });
  });

  test("is a manifest in the store: it is not handed out as good, and registering mends it", async () => {
    const { digest } = await store.register(built);
    await flip(join(root, "images", "manifests", `${digest}.binpb`));
    const restarted = new ImageStore(join(root, "images"), sign);
    await expect(restarted.manifest(digest)).rejects.toThrow(
      /is damaged: its digest is .*; register the image again/,
    );
    expect((await restarted.register(built)).changed).toBe(true);
    expect((await restarted.manifest(digest))?.name).toBe("tiny");
  });
});

describe("a move", () => {
  test("takes the files themselves, and leaves no chunk behind", async () => {
    const before = await stat(chunkPath("built", 0));
    const { digest } = await store.register(built, { move: true });
    const after = await stat(chunkPath("images", 0));
    expect([after.ino, after.nlink]).toEqual([before.ino, 1]);
    expect((await store.verify(digest)).bad).toEqual([]);
    expect(await filesIn("built")).toEqual(["manifest.binpb"]);
    expect((await store.register(built, { move: true })).changed).toBe(false);
  });

  test("clears away chunks that the store had already", async () => {
    await store.register(built);
    await store.register(built, { move: true });
    expect(await filesIn("built")).toEqual(["manifest.binpb"]);
  });

  test("from a directory that is linked to the store leaves the store's chunks where they are", async () => {
    const { digest } = await store.register(built);
    await rm(join(built, "chunks"), { recursive: true });
    await symlink(join(root, "images", "chunks"), join(built, "chunks"));
    await store.register(built, { move: true });
    expect((await store.verify(digest)).bad).toEqual([]);
  });

  test("copies what is only a link to a file elsewhere", async () => {
    const elsewhere = join(root, "elsewhere");
    await writeFile(elsewhere, content(0));
    await rm(chunkPath("built", 0));
    await symlink(elsewhere, chunkPath("built", 0));
    const { digest } = await store.register(built, { move: true });
    await flip(elsewhere);
    expect((await store.verify(digest)).bad).toEqual([]);
    await access(elsewhere);
  });
});

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(join(root, directory), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
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
  return join(root, where, chunkFile(nameOf(content(i))));
}
