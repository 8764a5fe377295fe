import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ImageKind, type ImageManifest } from "../proto/gen/muster/v1/image_pb.ts";
import { type Bench, createBench } from "./testing/images.ts";

const MiB = 2 ** 20;
let bench: Bench;
let work: string;
beforeEach(async () => {
  bench = await createBench();
  work = join(bench.state, "sources");
  await mkdir(work);
});
afterEach(() => bench.remove());

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
/** A shell command in the folder of the sources. */
const sh = (command: string) => execFileSync("sh", ["-ec", command], { cwd: work, env, encoding: "utf8" });
const at = (name: string) => join(work, name);
const content = (image: ImageManifest) => image.extents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/** A root file system of 32 MiB as a folder, `tree`, an ext4, `fs.img`, and a tar, `tree.tar`. */
async function makeSources(): Promise<void> {
  await mkdir(at("tree/boot"), { recursive: true });
  await mkdir(at("tree/usr/lib/grub/i386-pc"), { recursive: true });
  for (const name of ["vmlinuz-6.1.0-9", "vmlinuz-6.1.0-10", "initrd.img-6.1.0-10"])
    await writeFile(at(`tree/boot/${name}`), name);
  await writeFile(at("tree/noise"), randomBytes(3 * MiB));
  sh(
    "mke2fs -q -t ext4 -U 6d757374-6572-8000-a000-00000000000a -d tree fs.img 32M; tar -cf tree.tar -C tree .",
  );
}

describe("any form of a source", () => {
  test("gives the same file system, whether plain, compressed or qcow2, a file or stdin", async () => {
    await makeSources();
    sh(
      "gzip -k fs.img; xz -0 -k fs.img; bzip2 -k fs.img; zstd -q fs.img; qemu-img convert -O qcow2 fs.img fs.qcow2",
    );
    sh("zstd -q fs.qcow2; mv fs.img.xz misleading.gz");
    const plain = await bench.import({ source: at("fs.img"), version: "12.7" });
    expect(plain).toMatchObject({
      name: "tiny",
      version: "12.7",
      kind: ImageKind.FILESYSTEM,
      filesystem: "ext4",
      filesystemUuid: "6d757374-6572-8000-a000-00000000000a",
      sizeBytes: BigInt(32 * MiB),
      blockBytes: 4096,
      kernelVersion: "6.1.0-10",
      firmware: ["bios"],
      source: at("fs.img"),
      sourceDigest: "",
    });
    // What the file system does not use is neither content nor to be zeroed.
    const zeroed = plain.zeros.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
    expect(content(plain) + zeroed).toBeLessThan(12 * MiB);
    for (const name of [
      "fs.img.gz",
      "misleading.gz",
      "fs.img.bz2",
      "fs.img.zst",
      "fs.qcow2",
      "fs.qcow2.zst",
    ]) {
      const { extents, zeros, kernelVersion } = await bench.import({ source: at(name) });
      expect({ extents, zeros, kernelVersion }, name).toEqual({
        extents: plain.extents,
        zeros: plain.zeros,
        kernelVersion: "6.1.0-10",
      });
    }
    const { extents } = await bench.import({ source: "-" }, { stdin: stdin(await readFile(at("fs.qcow2"))) });
    expect(extents).toEqual(plain.extents);
    expect(bench.said.at(-1)).toMatch(
      /^tiny: file system, ext4, kernel 6.1.0-10, bios, 32.0 MiB; 3.* MiB of content/,
    );
    expect(await readdir(join(bench.state, "build/scratch"))).toEqual([]);
  });

  test("gives the same tree", async () => {
    await makeSources();
    sh("gzip -k tree.tar");
    const plain = await bench.import({ source: at("tree.tar") });
    expect(plain).toMatchObject({
      kind: ImageKind.TREE,
      blockBytes: 512,
      kernelVersion: "6.1.0-10",
      firmware: ["bios"],
    });
    const zipped = await bench.import({ source: "-" }, { stdin: stdin(await readFile(at("tree.tar.gz"))) });
    expect(zipped.extents).toEqual(plain.extents);
  });
});

describe("a disk", () => {
  test("is known by its GPT: unused blocks of its partitions, root, kernel, firmware", async () => {
    await makeSources();
    sh(
      "truncate -s 96M disk.img; sgdisk -n 14:2048:4095 -t 14:ef02 -n 15:4096:+8M -t 15:ef00 -n 1:40960:+32M -t 1:8304 disk.img",
    );
    sh(
      "dd if=fs.img of=disk.img bs=1M seek=20 conv=notrunc status=none; printf boot | dd of=disk.img conv=notrunc status=none",
    );
    const image = await bench.import({ source: at("disk.img") });
    expect(image).toMatchObject({
      kind: ImageKind.DISK,
      filesystem: "ext4",
      kernelVersion: "6.1.0-10",
      firmware: ["bios", "uefi"],
      rootPartition: 1,
      sizeBytes: BigInt(96 * MiB),
    });
    const alone = await bench.import({ source: at("fs.img") });
    const moved = alone.extents.map(({ offset, digest }) => [
      offset + BigInt(20 * MiB),
      Buffer.from(digest).toString("hex"),
    ]);
    const found = image.extents.map(({ offset, digest }) => [offset, Buffer.from(digest).toString("hex")]);
    expect(found).toEqual(expect.arrayContaining(moved));
    const zeroed = image.zeros.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
    // All that is outside of its ext4 must read as zeros, what that does not use need not.
    expect(zeroed).toBeGreaterThan(56 * MiB);
    expect(content(image) + zeroed).toBeLessThan(76 * MiB);
  });

  test("is known by its MBR", async () => {
    await makeSources();
    sh("truncate -s 33M disk.img; dd if=fs.img of=disk.img bs=1M seek=1 conv=notrunc status=none");
    const entry = Buffer.alloc(66);
    entry.writeUInt8(0x80, 0);
    entry.writeUInt8(0x83, 4);
    entry.writeUInt32LE(2048, 8);
    entry.writeUInt32LE((32 * MiB) / 512, 12);
    entry.writeUInt16LE(0xaa55, 64);
    await writeFile(at("entry"), entry);
    sh("dd if=entry of=disk.img bs=1 seek=446 conv=notrunc status=none");
    expect(await bench.import({ source: at("disk.img") })).toMatchObject({
      kind: ImageKind.DISK,
      rootPartition: 1,
      firmware: [],
    });
    expect((await bench.import({ source: at("fs.img"), kind: ImageKind.DISK })).kind).toBe(ImageKind.DISK);
  });
});

describe("nothing is made of", () => {
  test("what is neither, or not what it was said to be", async () => {
    await writeFile(at("text"), "hello".repeat(10_000));
    await expect(bench.import({ source: at("text") })).rejects.toThrow(
      /text: it is neither a disk .*--kind disk imports it as it is/,
    );
    await expect(bench.import({ source: at("text"), kind: ImageKind.TREE })).rejects.toThrow("is no tar");
    expect((await bench.import({ source: at("text"), kind: ImageKind.DISK })).kind).toBe(ImageKind.DISK);
    await writeFile(at("empty"), "");
    await expect(bench.import({ source: at("empty") })).rejects.toThrow("empty is empty");
    await expect(bench.import({ source: at("none") })).rejects.toThrow("none cannot be read (ENOENT)");
    await expect(bench.import({ source: "ftp://host/x" })).rejects.toThrow(
      "only http, https, tftp and magnet",
    );
    await expect(bench.import({ source: at("text"), name: "../x" })).rejects.toThrow(
      "is no name for an image",
    );
  });

  test("a file that is cut off or of another digest; what was made is removed", async () => {
    await makeSources();
    sh("gzip -k fs.img; gzip -k tree.tar");
    for (const name of ["fs.img.gz", "tree.tar.gz"]) {
      await truncate(at(name), 2 * MiB);
      await expect(bench.import({ source: at(name) }), name).rejects.toThrow(
        /gzip failed: .*unexpected end of file/,
      );
    }
    await truncate(at("tree.tar"), 2 * MiB);
    await expect(bench.import({ source: at("tree.tar") })).rejects.toThrow(/tar failed: .*Unexpected EOF/);
    const checksum = `sha256:${"0".repeat(64)}`;
    await expect(bench.import({ source: at("fs.img"), checksum })).rejects.toThrow(
      /has the sha256 [0-9a-f]{64}, not 0000/,
    );
    const streamed = bench.import({ source: "-", checksum }, { stdin: stdin(await readFile(at("fs.img"))) });
    await expect(streamed).rejects.toThrow("stdin has the sha256");
    expect(await readdir(join(bench.state, "build"))).toEqual(["scratch"]);
    expect(await readdir(join(bench.state, "build/scratch"))).toEqual([]);
  });

  test("a qcow2 that is only the changes to another file of this machine", async () => {
    sh("truncate -s 1M secret; qemu-img create -q -f qcow2 -b secret -F raw changes.qcow2");
    await expect(bench.import({ source: at("changes.qcow2") })).rejects.toThrow(
      /only the changes to another file, .*secret/,
    );
  });

  test("what was interrupted", async () => {
    await makeSources();
    const interruption = new AbortController();
    async function* slowly() {
      yield await readFile(at("fs.img"));
      interruption.abort(new Error("interrupted by SIGINT"));
      yield Buffer.alloc(MiB);
    }
    const interrupted = bench.import({ source: "-" }, { stdin: slowly(), signal: interruption.signal });
    await expect(interrupted).rejects.toThrow("interrupted by SIGINT");
    expect(await readdir(join(bench.state, "build/scratch"))).toEqual([]);
  });
});

test("a second version stores only what is new", async () => {
  await makeSources();
  await bench.import({ source: at("fs.img") });
  await bench.register();
  await writeFile(at("tree/new"), randomBytes(MiB));
  sh("rm fs.img; mke2fs -q -t ext4 -d tree fs.img 32M");
  await bench.import({ source: at("fs.img") });
  const [, fresh, known] =
    /: (\S+) MiB new.* stored, (\S+) MiB deduplicated\.$/.exec(bench.said.at(-1) ?? "") ?? [];
  expect(Number(fresh)).toBeLessThan(2.2);
  expect(Number(known)).toBeGreaterThan(2);
});

async function* stdin(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += 65_000) yield bytes.subarray(offset, offset + 65_000);
}
