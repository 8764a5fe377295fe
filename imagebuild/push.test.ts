import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ImageKind } from "../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, chunkName, manifestFile } from "../proto/image/layout.ts";
import { storedManifest } from "./export.ts";
import { pushImage } from "./push.ts";
import { type Bench, createBench } from "./testing/images.ts";

let bench: Bench;
let mirror: string;
let image: { digest: string; manifest: Awaited<ReturnType<typeof storedManifest>> };
let server: Server;
let url: string;
/** What the server was sent, in order, and what it says to the next requests instead of doing them. */
let puts: string[];
let failures: number[];

beforeEach(async () => {
  bench = await createBench();
  mirror = join(bench.state, "mirror");
  const source = join(bench.state, "source");
  await writeFile(source, randomBytes(3 << 20));
  await bench.import({ source, kind: ImageKind.DISK });
  const digest = await bench.register();
  image = { digest, manifest: await storedManifest(bench.store, digest) };
  puts = [];
  failures = [];
  server = createServer(async (request, response) => {
    const path = join(mirror, decodeURIComponent(request.url ?? "").replace("/muster/", ""));
    const body = Buffer.concat(await Array.fromAsync(request));
    const failure = failures.shift();
    if (failure) return response.writeHead(failure).end();
    if (request.method === "PUT") {
      puts.push(path.slice(mirror.length + 1));
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, body);
      return response.writeHead(201).end();
    }
    const content = await readFile(path).catch(() => undefined);
    if (!content) return response.writeHead(404).end();
    return response
      .writeHead(200, { "content-length": content.length })
      .end(request.method === "HEAD" ? undefined : content);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/muster`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await bench.remove();
});

const push = (target: string, verify = true) =>
  pushImage(bench.store, image, target, { signal: new AbortController().signal, verify, pauseMs: 1 });
const files = async (folder: string) =>
  (await readdir(folder, { recursive: true })).filter((path) => /[0-9a-f]{64}/.test(path)).sort();

for (const kind of ["directory", "address"] as const) {
  test(`a mirror that is a ${kind} has the same files as the store; a second push moves nothing`, async () => {
    const target = kind === "directory" ? mirror : url;
    const first = await push(target);
    expect(first.there).toBe(0);
    expect(await files(mirror)).toEqual(await files(bench.store));
    for (const path of await files(mirror)) {
      expect((await readFile(join(mirror, path))).equals(await readFile(join(bench.store, path)))).toBe(true);
    }
    expect(await push(target)).toEqual({ files: 0, bytes: 0, there: first.files });
  });

  test(`a file of another size on a ${kind} is put again, a damaged one of the same size is found`, async () => {
    const target = kind === "directory" ? mirror : url;
    await push(target);
    const [one, two] = image.manifest.chunks.map((chunk) => chunkFile(chunkName(chunk)));
    await writeFile(join(mirror, one ?? ""), "half");
    expect((await push(target)).files).toBe(1);
    const bytes = await readFile(join(mirror, two ?? ""));
    bytes[5] = (bytes[5] ?? 0) ^ 1;
    await writeFile(join(mirror, two ?? ""), bytes);
    expect((await push(target, false)).files).toBe(0);
    await expect(push(target)).rejects.toThrow(
      `1 files on the mirror are not what was pushed: ${two}; remove`,
    );
  });
}

test("the manifest is the last that is put, and none is when a chunk cannot be", async () => {
  await push(url);
  expect(puts.at(-1)).toBe(manifestFile(image.digest));
  await rm(mirror, { recursive: true });
  puts = [];
  failures = Array.from({ length: 30 }, () => 403);
  await expect(push(url)).rejects.toThrow(/answers a PUT with 403 .*must allow PUT/);
  expect(puts).toEqual([]);
});

test("a mirror that is unwell for a moment is asked again; one that stays so is named", async () => {
  failures = [503, 500, 503];
  expect((await push(url)).there).toBe(0);
  failures = Array.from({ length: 100 }, () => 503);
  await expect(push(url)).rejects.toThrow(/\/muster\/chunks\/.*: 503 .*, 4 times/);
});
