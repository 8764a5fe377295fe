import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ImageKind } from "../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, chunkName } from "../proto/image/layout.ts";
import { exportImage, exportStream, type Format, formatOf, storedManifest } from "./export.ts";
import { type Bench, createBench } from "./testing/images.ts";

let bench: Bench;
beforeEach(async () => {
  bench = await createBench();
});
afterEach(() => bench.remove());

const signal = new AbortController().signal;

async function importOf(image: Buffer, kind: ImageKind = ImageKind.DISK) {
  const source = join(bench.state, "source");
  await writeFile(source, image);
  await bench.import({ source, kind });
  return storedManifest(bench.store, await bench.register());
}

async function exported(manifest: Awaited<ReturnType<typeof importOf>>, format: Format = "raw") {
  const folder = await mkdtemp(join(bench.state, "out-"));
  const path = join(folder, "image");
  await exportImage(bench.store, manifest, { path, format }, { signal });
  expect(await readdir(folder)).toEqual(["image"]);
  return path;
}

const run = fc.record({
  kind: fc.constantFrom("noise", "text", "zeros", "repeat"),
  bytes: fc.oneof(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 900_000 })),
  seed: fc.integer({ min: 1, max: 4 }),
});

test("any image that is imported and exported has the same bytes, as a file and as a stream", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(run, { minLength: 1, maxLength: 8 }), async (runs) => {
      const image = Buffer.concat(runs.map(({ kind, bytes, seed }) => piece(kind, bytes, seed)));
      const manifest = await importOf(image);
      expect((await readFile(await exported(manifest))).equals(image)).toBe(true);
      const output = new PassThrough();
      const read = Array.fromAsync(output);
      await exportStream(bench.store, manifest, output, { signal });
      output.end();
      expect(Buffer.concat(await read).equals(image)).toBe(true);
    }),
    { numRuns: 25 },
  );
});

/** The same for the same arguments, so that later images share content with earlier ones. */
function piece(kind: string, bytes: number, seed: number): Buffer {
  if (kind === "zeros") return Buffer.alloc(bytes);
  if (kind === "text") return Buffer.alloc(bytes, `line ${seed} of a text\n`);
  const noise = (length: number) =>
    createHash("shake256", { outputLength: length }).update(String(seed)).digest();
  return kind === "noise" ? noise(bytes) : Buffer.alloc(bytes, noise(Math.min(bytes, 70_000)));
}

test("holes and zeros take no room in the file, and a qcow2 has the same content", async () => {
  const image = Buffer.alloc(16 << 20);
  randomBytes(1 << 20).copy(image, 5 << 20);
  const manifest = await importOf(image);
  expect((await stat(await exported(manifest))).blocks * 512).toBeLessThan(2 << 20);
  const qcow2 = await exported(manifest, "qcow2");
  execFileSync("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", qcow2, `${qcow2}.raw`]);
  expect((await readFile(`${qcow2}.raw`)).equals(image)).toBe(true);
});

test("a tree comes back as the tar that it was", async () => {
  const folder = await mkdtemp(join(bench.state, "tree-"));
  for (const name of ["a", "b", "c"]) await writeFile(join(folder, name), randomBytes(70_001));
  const tar = execFileSync("tar", ["-cf", "-", "-C", folder, "."], { maxBuffer: 1 << 24 });
  const manifest = await importOf(tar, ImageKind.TREE);
  expect((await readFile(await exported(manifest, "tar"))).equals(tar)).toBe(true);
  expect(formatOf(ImageKind.TREE, undefined)).toBe("tar");
  expect(() => formatOf(ImageKind.TREE, "raw")).toThrow("only be exported as tar, not as raw");
  expect(() => formatOf(ImageKind.DISK, "tar")).toThrow("only be exported as raw or qcow2");
});

test("a damaged chunk is named, and no file is left", async () => {
  const manifest = await importOf(randomBytes(2 << 20));
  const chunk = manifest.chunks[1];
  if (!chunk) throw new Error("there is no second chunk");
  const path = join(bench.store, chunkFile(chunkName(chunk)));
  const bytes = await readFile(path);
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  await writeFile(path, bytes);
  const target = join(bench.state, "target");
  const damaged = exportImage(bench.store, manifest, { path: target, format: "raw" }, { signal });
  await expect(damaged).rejects.toThrow(new RegExp(`chunk ${chunkName(chunk)}: .* with digest`));
  expect((await readdir(bench.state)).filter((name) => name.startsWith("target"))).toEqual([]);
  await rm(path);
  await expect(
    exportImage(bench.store, manifest, { path: target, format: "raw" }, { signal }),
  ).rejects.toThrow("ENOENT");
});
