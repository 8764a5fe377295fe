// A delivery that is killed 100 times at random moments: nothing that is on the disk is moved again, a disk that is not
// finished has nothing to boot from, and in the end every byte is right.
import { spawn } from "node:child_process";
import { createCipheriv, createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CutImage, cutImage, Store } from "../../node-agent/delivery/testing/cut-image.ts";
import { TestSource } from "../../node-agent/delivery/testing/server.ts";
import { ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { chunkName } from "../../proto/image/layout.ts";
import { Random } from "../sim/random.ts";
import type { DeliverOrder } from "./deliver-child.ts";

const MiB = 1 << 20;
const kills = 100;
/** After so many the delivery is left to come to its end. */
const killsPerDisk = 6;
const child = join(import.meta.dirname, "deliver-child.ts");
const cut = { chunkBytes: 128 << 10, largestExtent: 64 << 10 };

let directory: string;
let path: string;
let store: Store;
let older: CutImage;
let newer: CutImage;
let source: TestSource;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-kills-"));
  path = join(directory, "disk");
  store = new Store();
  const parts = [noise(1, 5 * MiB), Buffer.alloc(MiB), noise(2, 4 * MiB), Buffer.alloc(100_000, "text")];
  older = cutImage(Buffer.concat(parts), { ...cut, store });
  // Something new in front moves all the rest.
  newer = cutImage(Buffer.concat([noise(3, 300 << 10), ...parts, noise(4, MiB)]), { ...cut, store });
  source = await new TestSource([older, newer], store).open();
  for (const { manifest, digest } of [older, newer]) {
    await writeFile(join(directory, digest), toBinary(ImageManifestSchema, manifest));
  }
});
afterEach(async () => {
  source.close();
  await rm(directory, { recursive: true });
});

function noise(seed: number, length: number): Buffer {
  return createCipheriv("aes-128-ctr", Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Names of the chunks all of whose content is on the disk. */
async function chunksOnDisk({ manifest }: CutImage): Promise<Set<string>> {
  const disk = await readFile(path);
  const missing = new Set<number>();
  for (const { offset, sizeBytes, digest, chunk } of manifest.extents) {
    const found = disk.subarray(Number(offset), Number(offset) + sizeBytes);
    if (!createHash("sha256").update(found).digest().equals(digest)) missing.add(chunk);
  }
  return new Set(manifest.chunks.filter((_, index) => !missing.has(index)).map(chunkName));
}

/** True if it came to its end before it was killed. */
async function deliverOnce(order: DeliverOrder, killAfterMs: number): Promise<boolean> {
  const running = spawn(process.execPath, [child, JSON.stringify(order)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(running, "close") as Promise<[number | null]>;
  await Promise.race([once(running.stdout, "data"), closed]);
  const timer = delay(killAfterMs, undefined, { ref: false }).then(() => running.kill("SIGKILL"));
  const [code] = await closed;
  void timer;
  if (code !== null && code !== 0) throw new Error(`the delivery failed with exit code ${code}`);
  return code === 0;
}

/** The first block is that of before, as nothing was begun; or zeros; or everything is there. */
async function expectNothingToBoot(blank: Buffer): Promise<void> {
  const found = await readFile(path);
  const isUntouched = found.equals(blank);
  const isEmpty = found.subarray(0, 4096).every((byte) => byte === 0);
  const isWhole = found.subarray(0, newer.content.length).equals(newer.content);
  expect(isUntouched || isEmpty || isWhole).toBe(true);
}

test("100 kills", { timeout: 600_000 }, async () => {
  const random = new Random(4);
  source.beforeChunk = () => delay(random.between(0, 4));
  let killed = 0;
  let resumed = 0;
  for (let disk = 0; killed < kills; disk++) {
    const isUpgrade = disk % 2 === 1;
    const blank = Buffer.alloc(newer.content.length + MiB, 0xaa);
    if (isUpgrade) older.content.copy(blank);
    await writeFile(path, blank);
    const formers = isUpgrade ? [join(directory, older.digest)] : [];
    for (let attempt = 1, isDone = false; !isDone; attempt++) {
      const before = await chunksOnDisk(newer);
      source.sent.length = 0;
      const { kind, address, ticket } = disk % 4 < 2 ? source.grpc() : source.http();
      const { digest } = newer;
      const order = { path, digest, manifest: join(directory, digest), formers, attempt };
      const killAfterMs = attempt > killsPerDisk ? 60_000 : random.between(0, isUpgrade ? 400 : 900);
      isDone = await deliverOnce({ ...order, source: { kind, address, ticket } }, killAfterMs);
      if (!isDone) {
        killed++;
        await expectNothingToBoot(blank);
      }
      if (attempt > 1 && before.size > 0) resumed++;
      if (attempt > 1) expect(source.sent.filter((name) => before.has(name))).toEqual([]);
    }
    const found = await readFile(path);
    expect(found.subarray(0, newer.content.length).equals(newer.content)).toBe(true);
    expect(found.subarray(newer.content.length).every((byte) => byte === 0xaa)).toBe(true);
  }
  expect(resumed).toBeGreaterThan(kills / 4);
});
