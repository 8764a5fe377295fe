// The image step on loop devices: bit-exact content, file systems that fit, refusals before anything is written, and
// a retry that does not repeat.
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { deliver } from "../../node-agent/delivery/deliver.ts";
import { cutImage, signImage, testImageKey } from "../../node-agent/delivery/testing/cut-image.ts";
import type { StepContext } from "../../node-agent/step.ts";
import { createImageStep } from "../../node-agent/steps/image.ts";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { type DiskPlan, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { ImageKind } from "../../proto/gen/muster/v1/image_pb.ts";
import { Verify } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { ImageStepSchema, PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { LoopMachine, plannedDisk } from "./loop.ts";
import { buildTestImage, makeTree, openTestImage, type TestImage } from "./test-image.ts";

const imageSize = 48 << 20;
const diskSize = 256 << 20;
const device = "partition/os/0/os";
let machine: LoopMachine;
let image: TestImage;
let root: string;

beforeEach(async () => {
  machine = await LoopMachine.create();
  image = await buildTestImage(machine.run, machine.directory, imageSize);
});
afterEach(async () => {
  image.source.close();
  await machine.dispose();
});

/** A disk whose root partition has so many MiB. */
async function prepare(rootMiB: number): Promise<DiskPlan> {
  const disk = await machine.addDisk("A1", diskSize);
  const lastLba = 2048n + BigInt(rootMiB) * 2048n - 1n;
  const plan = create(DiskPlanSchema, {
    disks: [plannedDisk("A1", diskSize, [{ name: "os", firstLba: 2048n, lastLba, typeCode: "8300" }])],
    fss: [{ device, type: "ext4", mount: "/", label: "sys" }],
    rootDevice: device,
  });
  root = `${disk}p1`;
  await createPartitionStep(machine.options)(create(PartitionStepSchema, { plan }), machine.context());
  return plan;
}

function contextFor(attempt: number, from = image): StepContext {
  const context = machine.context();
  return {
    ...context,
    attempt,
    images: from.images,
    identity: { ...context.identity, imageKey: testImageKey },
  };
}

function apply(plan: DiskPlan, changes: { attempt?: number; verify?: Verify; digest?: string } = {}) {
  const { attempt = 1, verify = Verify.NONE, digest = image.digest } = changes;
  const action = create(ImageStepSchema, { plan, targets: [{ imageDigest: digest, device }], verify });
  return createImageStep(machine.options)(action, contextFor(attempt));
}

async function readTarget(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    await file.read(bytes, 0, length, offset);
    return bytes;
  } finally {
    await file.close();
  }
}

async function blkid(): Promise<string> {
  return (await machine.run(["blkid", "-p", "-o", "export", root], { okCodes: [0, 2] })).stdout;
}

test("the file system is whole, fills the device and has a UUID and label of its own", async () => {
  const plan = await prepare(200);
  const before = /UUID=(\S+)/.exec(
    (await machine.run(["blkid", "-p", `${machine.directory}/image.ext4`])).stdout,
  );
  expect(await apply(plan, { verify: Verify.FULL })).toMatch(
    /^tiny: [\d.]+ MiB moved, [\d.]+ MiB written, 0 B skipped, ext4 grown to 200 MiB on /,
  );
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
  expect(last?.verifiedBytes).toBeGreaterThanOrEqual(last?.totalBytes ?? 0n);
  const [, mib] = /^the agent has had (\d+) MiB of memory at most$/m.exec(machine.log.join("\n")) ?? [];
  expect(Number(mib)).toBeGreaterThan(20); // node alone has more
});

test("a damaged chunk stops the step, leaves nothing to boot, and a retry moves only what is missing", async () => {
  const plan = await prepare(100);
  const { chunks } = image.manifest;
  const bad = chunks[8];
  if (!bad) throw new Error("the test image has too few chunks");
  const name = Buffer.from(bad.storedDigest).toString("hex");
  image.source.distort = (asked, stored) => {
    if (asked !== name) return stored;
    const damaged = Buffer.from(stored);
    damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100);
    return damaged;
  };
  const failure = await apply(plan).catch((error: Error) => error.message);
  const [extent] = image.manifest.extents.filter(({ chunk }) => chunk === 8);
  expect(failure).toMatch(`image tiny: chunk 8 at offset ${extent?.offset} is right nowhere`);
  expect(failure).toMatch(new RegExp(`expected sha256 ${name}, found [0-9a-f]{64}`));
  expect(failure).toMatch(
    "nothing of it was written. Repair the store with `muster image repair` and retry.",
  );
  expect(image.reports[0]).toContain(`chunk 8: expected sha256 ${name}, found `);
  expect((await readTarget(root, 0, 1 << 20)).every((byte) => byte === 0)).toBe(true);
  expect(await blkid()).not.toMatch(/^TYPE=/m);

  image.source.distort = (_, stored) => stored;
  image.source.sent.length = 0;
  expect(await apply(plan, { attempt: 2 })).toMatch(/[\d.]+ MiB skipped/);
  expect(image.source.sent.length).toBeLessThan(chunks.length);
  expect(image.source.sent).toContain(name);
  await machine.run(["e2fsck", "-f", "-n", root]);
});

test("a new version of the image moves what has changed", async () => {
  const plan = await prepare(100);
  await apply(plan);
  await mkdir(join(machine.directory, "tree/opt"));
  await writeFile(join(machine.directory, "tree/opt/new"), "something new\n".repeat(1000));
  const file = join(machine.directory, "newer.ext4");
  // A larger inode table moves everything behind it.
  const tree = join(machine.directory, "tree");
  await machine.run(["mke2fs", "-q", "-t", "ext4", "-N", "24000", "-d", tree, file, "48M"]);
  const newer = await openTestImage(await readFile(file), { filesystem: "ext4", store: image.store });
  try {
    newer.source.images.push(image);
    newer.formers.push(image.digest);
    const action = create(ImageStepSchema, { plan, targets: [{ imageDigest: newer.digest, device }] });
    const context = { ...contextFor(1), images: newer.images };
    const verified = { ...action, verify: Verify.FULL };
    expect(await createImageStep(machine.options)(verified, context)).toContain("copied on the disk");
    expect(newer.source.sent.length).toBeLessThan(newer.manifest.chunks.length / 3);
    await machine.run(["e2fsck", "-f", "-n", root]);
    const last = machine.reports.findLast((report) => report.totalBytes !== undefined);
    expect(last?.currentBytes).toBe(last?.totalBytes);
  } finally {
    newer.source.close();
  }
});

test("a cancel in the middle stops the step", async () => {
  const plan = await prepare(100);
  const cancel = new AbortController();
  image.source.beforeChunk = () => {
    if (image.source.sent.length === 4) cancel.abort();
  };
  const action = create(ImageStepSchema, { plan, targets: [{ imageDigest: image.digest, device }] });
  const context = { ...contextFor(1), signal: cancel.signal };
  await expect(createImageStep(machine.options)(action, context)).rejects.toThrow("aborted");
  expect(await blkid()).not.toMatch(/^TYPE=/m);
});

test("a manifest by another key, unsigned or of another image is refused before anything is written", async () => {
  const plan = await prepare(100);
  await machine.run(["mkfs.ext4", "-q", "-L", "keep", root]);
  const signed = image.source.signedAs;
  for (const signature of [Buffer.alloc(64, 7), Buffer.alloc(0)]) {
    image.source.signedAs = (one) => ({ ...signImage(one), signature });
    await expect(apply(plan)).rejects.toThrow("is not by this cluster's image key");
  }
  const other = cutImage(Buffer.alloc(8192, 1), { name: "other" });
  image.source.signedAs = () => signImage(other);
  await expect(apply(plan)).rejects.toThrow(`the manifest that was sent is that of ${other.digest}`);
  expect(image.reports.at(-1)).toContain(other.digest);
  image.source.signedAs = signed;
  expect(image.source.sent).toEqual([]);
  expect(await blkid()).toContain("LABEL=keep");
});

test("a target that is too small is refused before anything is written", async () => {
  const plan = await prepare(40);
  await machine.run(["mkfs.ext4", "-q", "-L", "keep", root]);
  await expect(apply(plan)).rejects.toThrow(`image tiny needs ${imageSize} bytes, ${root} has ${40 << 20}`);
  expect(image.source.sent).toEqual([]);
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
  expect(image.source.sent).toEqual([]);
  await machine.run(["e2fsck", "-f", "-n", root]);
});

test("what must read as zeros does, and what nobody needs is left alone", async () => {
  const plan = await prepare(100);
  const dirty = Buffer.alloc(imageSize, 0xaa);
  const file = await open(root, "r+");
  await file.write(dirty, 0, dirty.length, 0);
  await file.close();
  const log = machine.log.length;
  await apply(plan, { verify: Verify.FULL });
  expect(machine.log.slice(log).some((line) => line.includes("blkdiscard --force --zeroout"))).toBe(true);
});

test("a tree is unpacked into a file system that is made for it", async () => {
  const plan = await prepare(200);
  const tar = join(machine.directory, "tree.tar");
  const tree = await makeTree(machine.directory);
  await machine.run(["chown", "1234:4321", join(tree, "text")]);
  await machine.run(["setcap", "cap_net_raw=ep", join(tree, "noise")]);
  await machine.run([
    "tar",
    "-c",
    "--xattrs",
    "--xattrs-include=*",
    "--numeric-owner",
    "-C",
    tree,
    "-f",
    tar,
    ".",
  ]);
  const archive = await openTestImage(await readFile(tar), { kind: ImageKind.TREE, blockBytes: 512 });
  try {
    const action = create(ImageStepSchema, { plan, targets: [{ imageDigest: archive.digest, device }] });
    expect(await createImageStep(machine.options)(action, contextFor(1, archive))).toMatch(/unpacked onto /);
    const mountPoint = join(machine.directory, "look");
    await mkdir(mountPoint);
    await machine.run(["mount", root, mountPoint]);
    try {
      await machine.run(["diff", "-r", tree, mountPoint, "--exclude=lost+found"]);
      const { stdout } = await machine.run(["stat", "-c", "%u:%g", join(mountPoint, "text")]);
      expect(stdout.trim()).toBe("1234:4321");
      expect((await machine.run(["getcap", join(mountPoint, "noise")])).stdout).toContain("cap_net_raw=ep");
    } finally {
      await machine.run(["umount", mountPoint]);
    }
    expect(await blkid()).toContain("LABEL=sys");
  } finally {
    archive.source.close();
  }
});

test("an image of a whole disk fills the disk, with the identifiers that it came with", async () => {
  const small = await machine.addDisk("S1", 96 << 20);
  await machine.run(["sgdisk", "-n", "1:2048:4095", "-t", "1:ef02", "-n", "2:4096:0", small]);
  await machine.run(["partx", "--update", "--nr", "1:128", small]);
  await machine.run(["mke2fs", "-q", "-t", "ext4", "-d", join(machine.directory, "tree"), `${small}p2`]);
  const guid = async (disk: string) =>
    /Disk identifier \(GUID\): (\S+)/.exec((await machine.run(["sgdisk", "-p", disk])).stdout)?.[1];
  const identifier = await guid(small);
  await machine.run(["sync"]);
  const content = await readTarget(small, 0, 96 << 20);
  const whole = await openTestImage(content, { kind: ImageKind.DISK, rootPartition: 2 });
  try {
    const disk = await machine.addDisk("B1", diskSize);
    const planned = plannedDisk("B1", diskSize, []);
    const plan = create(DiskPlanSchema, { disks: [planned], rootDevice: "disk/os/0" });
    const targets = [{ imageDigest: whole.digest, device: "disk/os/0" }];
    const action = create(ImageStepSchema, { plan, targets, verify: Verify.SAMPLE });
    const result = await createImageStep(machine.options)(action, contextFor(1, whole));
    expect(result).toContain(`ext4 grown on ${disk}p2`);
    const { stdout: verdict } = await machine.run(["sgdisk", "--verify", disk]);
    expect(verdict).toContain("No problems found");
    expect(await guid(disk)).toBe(identifier);
    await machine.run(["e2fsck", "-f", "-n", `${disk}p2`]);
    const { stdout } = await machine.run(["blockdev", "--getsize64", `${disk}p2`]);
    expect(Number(stdout)).toBeGreaterThan(diskSize - (4 << 20));
  } finally {
    whole.source.close();
  }
});

test("what cannot be written is named, with the offset and what the system says", async () => {
  const mountPoint = join(machine.directory, "small");
  await mkdir(mountPoint);
  // It knows no O_DIRECT on older kernels, and has room for a part of the image only.
  await machine.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", mountPoint]);
  const path = join(mountPoint, "disk");
  await machine.run(["truncate", "-s", String(imageSize), path]);
  const { manifest, digest } = image;
  const delivery = { path, manifest, digest, sources: [image.source.grpc()], formers: [], attempt: 1 };
  const context = {
    signal: new AbortController().signal,
    progress: () => {},
    report: async () => {},
    log: () => {},
  };
  await expect(deliver({ ...delivery, verify: Verify.NONE }, context)).rejects.toThrow(
    new RegExp(
      `^writing ${path} at offset [0-9]+ failed with ENOSPC. What holds it is full: make room there`,
    ),
  );
  expect((await readTarget(path, 0, 4096)).every((byte) => byte === 0)).toBe(true);
});
