// The image step on a loop device: bit-exact content, damage that stops it, and a retry that does not repeat.
import { open } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StepContext } from "../../node-agent/step.ts";
import { createImageStep } from "../../node-agent/steps/image.ts";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { writeChunks } from "../../node-agent/storage/chunks.ts";
import { type DiskPlan, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { ImageStepSchema, PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { LoopMachine, plannedDisk } from "./loop.ts";
import { buildTestImage, type TestImage } from "./test-image.ts";

const imageSize = 48 << 20;
const diskSize = 256 << 20;
let machine: LoopMachine;
let image: TestImage;
let root: string;

beforeEach(async () => {
  machine = await LoopMachine.create();
  image = await buildTestImage(machine.run, machine.directory, imageSize);
});
afterEach(() => machine.dispose());

/** A disk whose root partition has so many MiB. */
async function prepare(rootMiB: number): Promise<DiskPlan> {
  const disk = await machine.addDisk("A1", diskSize);
  const lastLba = 2048n + BigInt(rootMiB) * 2048n - 1n;
  const plan = create(DiskPlanSchema, {
    disks: [plannedDisk("A1", diskSize, [{ name: "os", firstLba: 2048n, lastLba, typeCode: "8300" }])],
    fss: [{ device: "partition/os/0/os", type: "ext4", mount: "/", label: "sys" }],
    rootDevice: "partition/os/0/os",
  });
  root = `${disk}p1`;
  await createPartitionStep(machine.options)(create(PartitionStepSchema, { plan }), machine.context());
  return plan;
}

function contextFor(attempt: number): StepContext {
  const context = machine.context();
  return {
    ...context,
    attempt,
    images: image.source,
    identity: { ...context.identity, imageKey: image.imageKey },
  };
}

function apply(plan: DiskPlan, attempt = 1): Promise<string> {
  const step = createImageStep(machine.options);
  return step(create(ImageStepSchema, { plan, imageDigest: image.digest }), contextFor(attempt));
}

async function readTarget(offset: number, length: number): Promise<Buffer> {
  const file = await open(root, "r");
  try {
    const bytes = Buffer.alloc(length);
    await file.read(bytes, 0, length, offset);
    return bytes;
  } finally {
    await file.close();
  }
}

async function expectSameContent(): Promise<void> {
  for (const { offset, sizeBytes } of image.manifest.chunks) {
    const start = Number(offset);
    const found = await readTarget(start, sizeBytes);
    expect(found.equals(image.content.subarray(start, start + sizeBytes)), `chunk at ${offset}`).toBe(true);
  }
}

async function blkid(): Promise<string> {
  return (await machine.run(["blkid", "-p", "-o", "export", root], { okCodes: [0, 2] })).stdout;
}

test("every chunk arrives bit by bit", async () => {
  await prepare(100);
  const file = await open(root, "r+");
  const tally = await writeChunks(file, image.manifest, image.digest, contextFor(1)).finally(() =>
    file.close(),
  );
  await expectSameContent();
  expect(tally.movedBytes).toBe(tally.contentBytes);
  expect(image.fetched).toHaveLength(image.manifest.chunks.length);
  // The first MiB is the last to come.
  expect(image.fetched.at(-1)).toBe(0);
});

test("the file system is whole, fills the device and has a UUID and label of its own", async () => {
  const plan = await prepare(200);
  const before = /UUID=(\S+)/.exec(
    (await machine.run(["blkid", "-p", `${machine.directory}/image.ext4`])).stdout,
  );
  expect(await apply(plan)).toMatch(/^tiny: [\d.]+ MiB written, 0 B skipped, ext4 grown to 200 MiB on /);
  await machine.run(["e2fsck", "-f", "-n", root]);
  const shown = await blkid();
  expect(shown).toContain("LABEL=sys");
  expect(before?.[1]).toBeTruthy();
  expect(shown).not.toContain(before?.[1]);
  const { stdout } = await machine.run(["dumpe2fs", "-h", root]);
  const blocks = Number(/Block count: +(\d+)/.exec(stdout)?.[1]);
  const blockSize = Number(/Block size: +(\d+)/.exec(stdout)?.[1]);
  expect(blocks * blockSize).toBe(200 << 20);
  const last = machine.reports.findLast((report) => report.totalBytes !== undefined);
  expect(last?.currentBytes).toBe(last?.totalBytes);
});

test("a damaged chunk stops the step, leaves nothing to boot, and a retry fetches only what is missing", async () => {
  const plan = await prepare(100);
  const bad = 6;
  const chunk = image.manifest.chunks[bad];
  const good = image.stored[bad];
  if (!chunk || !good) throw new Error("the test image has too few chunks");
  const damaged = Buffer.from(good);
  damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100);
  image.stored[bad] = damaged;

  const failure = await apply(plan).catch((error: Error) => error.message);
  const expected = Buffer.from(chunk.storedDigest).toString("hex");
  expect(failure).toMatch(
    new RegExp(
      `^image tiny: chunk at offset ${chunk.offset}: expected sha256 ${expected}, found [0-9a-f]{64}; ` +
        "nothing of it was written\\. Repair the store with `muster image repair` and retry\\.$",
    ),
  );
  expect(failure).not.toContain(`found ${expected}`);
  expect((await readTarget(0, 1 << 20)).every((byte) => byte === 0)).toBe(true);
  expect((await readTarget(Number(chunk.offset), chunk.sizeBytes)).every((byte) => byte === 0)).toBe(true);
  expect(await blkid()).not.toMatch(/^TYPE=/m);

  image.stored[bad] = good;
  image.fetched.length = 0;
  expect(await apply(plan, 2)).toContain("5 MiB skipped");
  const rest = image.manifest.chunks.map((_, index) => index).slice(bad);
  expect(image.fetched).toEqual([...rest, 0]);
  await machine.run(["e2fsck", "-f", "-n", root]);
});

test("a short answer and a chunk out of turn are refused", async () => {
  const plan = await prepare(100);
  const { source } = image;
  const chunks = source.chunks;
  source.chunks = (digest, indexes, signal) => chunks(digest, indexes.slice(0, 3), signal);
  await expect(apply(plan)).rejects.toThrow(/the daemon sent 3 of \d+ chunks/);
  source.chunks = (digest, indexes, signal) => chunks(digest, indexes.toReversed(), signal);
  await expect(apply(plan)).rejects.toThrow("out of turn");
});

test("a cancel in the middle stops the step", async () => {
  const plan = await prepare(100);
  const cancel = new AbortController();
  const { source } = image;
  const chunks = source.chunks;
  source.chunks = async function* (digest, indexes, signal) {
    for await (const piece of chunks(digest, indexes, signal)) {
      yield piece;
      if (piece.index === 4) cancel.abort();
    }
  };
  const action = create(ImageStepSchema, { plan, imageDigest: image.digest });
  const context = { ...contextFor(1), signal: cancel.signal };
  await expect(createImageStep(machine.options)(action, context)).rejects.toThrow("aborted");
  expect(await blkid()).not.toMatch(/^TYPE=/m);
});

test("a manifest by another key or of another image is refused before anything is written", async () => {
  const plan = await prepare(100);
  await machine.run(["mkfs.ext4", "-q", "-L", "keep", root]);
  const signature = Buffer.from(image.signature);
  image.signature = Buffer.alloc(64, 7);
  await expect(apply(plan)).rejects.toThrow("is not by this cluster's image key");
  image.signature = signature;
  const digest = "0".repeat(64);
  const action = create(ImageStepSchema, { plan, imageDigest: digest });
  await expect(createImageStep(machine.options)(action, contextFor(1))).rejects.toThrow(
    `image ${digest}: the daemon sent the manifest of ${image.digest} instead`,
  );
  expect(image.fetched).toEqual([]);
  expect(await blkid()).toContain("LABEL=keep");
});

test("a target that is too small is refused before anything is written", async () => {
  const plan = await prepare(40);
  await machine.run(["mkfs.ext4", "-q", "-L", "keep", root]);
  await expect(apply(plan)).rejects.toThrow(`image tiny needs ${imageSize} bytes, ${root} has ${40 << 20}`);
  expect(image.fetched).toEqual([]);
  expect(await blkid()).toContain("LABEL=keep");
});

test("a target that is mounted is refused before anything is written", async () => {
  const plan = await prepare(100);
  await machine.run(["mkfs.ext4", "-q", "-L", "keep", root]);
  const elsewhere = `${machine.directory}/elsewhere`;
  await machine.run(["mkdir", elsewhere]);
  await machine.run(["mount", root, elsewhere]);
  await expect(apply(plan)).rejects.toThrow(`${root} is in use`);
  await machine.run(["umount", elsewhere]);
  expect(image.fetched).toEqual([]);
  await machine.run(["e2fsck", "-f", "-n", root]);
});
