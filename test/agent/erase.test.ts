// Erasing on loop devices: what is read back, what is refused, and what is left alone.
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Runner } from "../../node-agent/runner.ts";
import { CommandError } from "../../node-agent/runner.ts";
import { describeErasure, eraseDisks } from "../../node-agent/storage/erase.ts";
import {
  type DiskErasure,
  EraseMode,
  DiskErasure_Proof as Proof,
} from "../../proto/gen/muster/v1/erase_pb.ts";
import { LoopMachine } from "./loop.ts";

const size = 48 << 20;
let machine: LoopMachine;
let disk: string;

beforeEach(async () => {
  machine = await LoopMachine.create();
  disk = await machine.addDisk("E1", size);
  // A table, a file system in use, and content in the middle that no signature points to.
  await machine.run(["sgdisk", "--new=1:2048:40959", disk]);
  await machine.run(["partx", "--update", disk]);
  await machine.run(["mkfs.ext4", "-q", `${disk}p1`]);
  await machine.run(["dd", "if=/dev/urandom", `of=${disk}`, "bs=1M", "seek=30", "count=4", "conv=fsync"]);
  await machine.run(["mkdir", `${machine.directory}/mounted`]);
  await machine.run(["mount", `${disk}p1`, `${machine.directory}/mounted`]);
});
afterEach(() => machine.dispose());

const { METADATA, FULL } = EraseMode;

type Wanted = {
  disks?: LoopMachine["disks"];
  mode: EraseMode;
  skip?: string[];
  protectedDisks?: string[];
  run?: Runner;
};

function erase({ disks = machine.disks, mode, skip = [], protectedDisks = [], run }: Wanted) {
  const options = { mode, skip, protectedDisks, machine: machine.disks };
  return eraseDisks(disks, options, machine.context(run && { run }));
}

async function content(serial = "E1", index = 0): Promise<Buffer> {
  await machine.run(["sync"]);
  return readFile(machine.fileOf(serial, index));
}

function isZero(bytes: Buffer): boolean {
  return bytes.equals(Buffer.alloc(bytes.length));
}

/** Without the time that it took. */
const told = (erasure: DiskErasure | undefined) =>
  erasure && describeErasure(erasure).replace(/in [0-9.]+ s/, "in a time");
const name = () => disk.replace("/dev/", "");

/** A disk that cannot discard; `zero` is what its overwriting does. */
const noDiscard =
  (zero: Runner = machine.run): Runner =>
  (argv, options) => {
    if (argv[0] !== "blkdiscard" || argv.includes("--offset")) return machine.run(argv, options);
    if (argv.includes("--zeroout")) return zero(argv, options);
    return Promise.reject(new CommandError("BLKDISCARD: Operation not supported", 1));
  };
const nothing: Runner = async () => ({ code: 0, stdout: "", stderr: "" });

test("metadata: both ends are cleared, the middle stays", async () => {
  const [erasure] = await erase({ mode: METADATA });
  expect(erasure).toMatchObject({
    ...{ name: name(), serial: "E1", mode: METADATA, method: "signatures and both ends", fault: "" },
    ...{
      sizeBytes: BigInt(size),
      erasedBytes: 8n << 20n,
      proof: Proof.ZEROS,
      readBytes: 8n << 20n,
      readPlaces: 8,
    },
  });
  expect(machine.erasures).toEqual([erasure]);
  expect(machine.log.some((line) => line.startsWith(`erased: ${name()} (E1): metadata erase by`))).toBe(true);
  const bytes = await content();
  expect(isZero(bytes.subarray(0, 4 << 20))).toBe(true);
  expect(isZero(bytes.subarray(-(4 << 20)))).toBe(true);
  expect(isZero(bytes.subarray(30 << 20, 34 << 20))).toBe(false);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(machine.directory);
});

test("full: everything is discarded and read back", async () => {
  const [erasure] = await erase({ mode: FULL });
  expect(told(erasure)).toBe(
    `${name()} (E1): full erase by discard in a time; all 48 MiB read back as zeros`,
  );
  expect(erasure).toMatchObject({ erasedBytes: BigInt(size), readBytes: BigInt(size), readPlaces: 48 });
  expect(isZero(await content())).toBe(true);
});

test("full, on disks that cannot discard: all are overwritten", async () => {
  await machine.addDisk("E2", size);
  await machine.run([
    "dd",
    "if=/dev/urandom",
    `of=${machine.disks[1]?.path}`,
    "bs=1M",
    "count=48",
    "conv=fsync",
  ]);
  const erasures = await erase({ mode: FULL, run: noDiscard() });
  expect(told(erasures[0])).toContain("by overwrite with zeros in a time; all 48 MiB read back as zeros");
  expect(erasures.map(({ serial, method }) => [serial, method])).toEqual([
    ["E1", "overwrite with zeros"],
    ["E2", "overwrite with zeros"],
  ]);
  expect([isZero(await content()), isZero(await content("E2", 1))]).toEqual([true, true]);
  expect(machine.reports.at(-1)).toMatchObject({ currentBytes: 96n << 20n, totalBytes: 96n << 20n });
});

test("an erase that leaves something is no success, and the proof of the other disk stays", async () => {
  await machine.addDisk("E2", size);
  const zero: Runner = (argv, options) => (argv.includes(disk) ? nothing(argv) : machine.run(argv, options));
  const erasing = erase({ mode: FULL, run: noDiscard(zero) });
  await expect(erasing).rejects.toThrow(/still has its content at byte \d+ after overwrite with zeros/);
  const [broken, good] = ["E1", "E2"].map((id) => machine.erasures.find(({ serial }) => serial === id));
  expect(broken).toMatchObject({
    proof: Proof.UNSPECIFIED,
    fault: expect.stringContaining("still has its content"),
  });
  expect(good).toMatchObject({ proof: Proof.ZEROS, fault: "" });
});

test("a protected disk is never erased, nor any beside it; a skipped one is left", async () => {
  const other = await machine.addDisk("E2", size);
  await machine.run(["mkfs.ext4", "-q", "-F", "-L", "keep", other]);
  const before = await content("E2", 1);
  await expect(erase({ mode: FULL, protectedDisks: ["e2"] })).rejects.toThrow("(E2) is protected");
  expect(await readFile("/proc/self/mountinfo", "utf8")).toContain(machine.directory);
  await expect(erase({ mode: FULL, skip: ["E1", "E2"] })).rejects.toThrow("there is nothing to erase");
  const erasures = await erase({ mode: FULL, skip: ["e2"], protectedDisks: ["E2"] });
  expect(erasures.map(({ serial }) => serial)).toEqual(["E1"]);
  expect((await content("E2", 1)).equals(before)).toBe(true);
});

test("a shared disk is never erased: one with another path, or below a multipath disk", async () => {
  const before = await content();
  await machine.addDisk("E1", size);
  const [first] = machine.disks;
  if (!first) throw new Error("no disk");
  await expect(erase({ disks: [first], mode: METADATA })).rejects.toThrow(
    /is the same disk as .*, by another path/,
  );
  for (const one of machine.disks) one.wwn = one.path;
  const run: Runner = async (argv, options) => {
    const answer = await machine.run(argv, options);
    const map = { name: "mpatha", path: "/dev/mapper/mpatha", type: "mpath" };
    const tree = { name: name(), path: disk, type: "loop", children: [map] };
    return argv[0] === "lsblk" && argv.includes(disk)
      ? { ...answer, stdout: JSON.stringify({ blockdevices: [tree] }) }
      : answer;
  };
  await expect(erase({ disks: [first], mode: METADATA, run })).rejects.toThrow(
    `${disk} (E1) is a path of the multipath disk /dev/mapper/mpatha`,
  );
  expect((await content()).equals(before)).toBe(true);
});

test("a file system that reaches to another disk is not torn apart", async () => {
  const other = await machine.addDisk("E2", 120 << 20);
  const third = await machine.addDisk("E3", 120 << 20);
  await machine.run(["mkfs.btrfs", "-q", "-f", other, third]);
  const erasing = erase({ mode: METADATA, skip: ["E3"] });
  await expect(erasing).rejects.toThrow(
    new RegExp(`^btrfs .* has parts on ${other}, .* and on ${third}, which`),
  );
  await erase({ disks: machine.disks.slice(1), mode: METADATA });
});
