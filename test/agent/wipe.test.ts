// The wipe step on loop devices: members of arrays and volume groups become empty disks, and a disk beside them
// stays as it is to the byte. Superblocks are written as the tools do, so no kernel has to run arrays.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createWipeStep } from "../../node-agent/steps/wipe.ts";
import type { PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { EraseMode } from "../../proto/gen/muster/v1/erase_pb.ts";
import { WipeStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { LoopMachine, plannedDisk } from "./loop.ts";

const size = 200 << 20;
// Apart from the groups of any machine that runs this.
const group = `wipe${process.pid}`;
let machine: LoopMachine;

beforeEach(async () => {
  machine = await LoopMachine.create();
});
afterEach(() => machine.dispose());

const planned = (serial: string, index: number): PlannedDisk => plannedDisk(serial, size, [], index);

/** A disk as a deployment leaves it: GPT with the member of a mirror, swap in use, and a mounted file system. */
async function installed(serial: string): Promise<string> {
  const disk = await machine.addDisk(serial, size);
  const tables = ["--new=1:2048:100000", "--new=2:100001:200000", "--new=3:200001:300000"];
  await machine.run(["sgdisk", ...tables, "--typecode=1:fd00", disk]);
  await machine.run(["partx", "--update", disk]);
  await writeArrayMember(`${disk}p1`, serial);
  await machine.run(["mkswap", `${disk}p2`]);
  await machine.run(["swapon", `${disk}p2`]);
  await machine.run(["mkfs.ext4", "-q", "-L", "root", `${disk}p3`]);
  const mountPoint = `${machine.directory}/${serial}`;
  await machine.run(["mkdir", "-p", mountPoint]);
  await machine.run(["mount", `${disk}p3`, mountPoint]);
  return disk;
}

/** A disk that is a physical volume of LVM as a whole. */
async function volumeGroup(serial: string): Promise<string> {
  const disk = await machine.addDisk(serial, size);
  await machine.run(["vgcreate", "--yes", group, disk]);
  return disk;
}

/** An md superblock of version 1.2 of a mirror of two, with its checksum. Each serial is another array. */
async function writeArrayMember(device: string, serial: string): Promise<void> {
  const block = Buffer.alloc(260);
  const words: [offset: number, value: number][] = [
    [0, 0xa92b4efc],
    [4, 1],
    [72, 1],
    [92, 2],
    [220, 2],
  ];
  for (const [offset, value] of words) block.writeUInt32LE(value, offset);
  block.write("muster:os", 32);
  createHash("md5").update(serial).digest().copy(block, 16);
  const longs: [offset: number, value: bigint][] = [
    [80, 50_000n],
    [128, 2048n],
    [136, 50_000n],
    [144, 8n],
    [200, 1n],
  ];
  for (const [offset, value] of longs) block.writeBigUInt64LE(value, offset);
  block.writeUInt16LE(1, 258);
  let sum = 0n;
  for (let at = 0; at < block.length; at += 4) sum += BigInt(block.readUInt32LE(at));
  block.writeUInt32LE(Number(((sum & 0xffff_ffffn) + (sum >> 32n)) & 0xffff_ffffn), 216);
  await using file = await open(device, "r+");
  await file.write(block, 0, block.length, 4096);
  await file.sync();
  expect((await machine.run(["mdadm", "--examine", device])).stdout).toContain("Raid Level : raid1");
}

type How = { mode?: EraseMode; skip?: string[]; protectedDisks?: string[] };

function wipe(disks: PlannedDisk[], context = machine.context(), how: How = {}): Promise<unknown> {
  return createWipeStep(machine.options)(create(WipeStepSchema, { disks, ...how }), context);
}

const nameOf = (path: string) => path.replace("/dev/", "");

async function digest(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

/** What the system's own tools see on a disk. */
async function seenOn(disk: string): Promise<string> {
  const tree = await machine.run(["lsblk", "-n", "-o", "NAME", disk]);
  const signatures = await machine.run(["wipefs", "--no-act", disk]);
  const table = await machine.run(["sgdisk", "--print", disk], { okCodes: [0, 2] });
  const partitions = table.stdout.split("\n").filter((line) => /^ +\d/.test(line));
  return [...tree.stdout.trim().split("\n").slice(1), signatures.stdout, ...partitions].join("");
}

test("everything is gone from the disks, and the disk beside them is the same to the byte", async () => {
  const [a, b] = [await installed("A1"), await volumeGroup("B2")];
  const foreign = await machine.addDisk("C3", size);
  await machine.run(["sgdisk", "--new=1:2048:100000", foreign]);
  await machine.run(["partx", "--update", foreign]);
  await writeArrayMember(`${foreign}p1`, "C3");
  await machine.run(["sync"]);
  const before = await digest(foreign);
  expect(await seenOn(a)).toMatch(/p1.*p2.*p3.*gpt/s);
  expect(await seenOn(b)).toContain("LVM2_member");

  expect(await wipe([planned("A1", 0), planned("B2", 1)])).toBe(
    `2 disks wiped: ${nameOf(a)} (A1), ${nameOf(b)} (B2)`,
  );
  expect([await seenOn(a), await seenOn(b)]).toEqual(["", ""]);
  await machine.run(["sync"]);
  expect(await digest(foreign)).toBe(before);
  expect((await machine.run(["lsblk", "-n", "-o", "NAME", foreign])).stdout).toContain("p1");
  expect((await machine.run(["vgs", "--noheadings", "-o", "vg_name"])).stdout).not.toContain(group);

  // Nothing of it comes back when the same table is written again.
  await machine.run(["sgdisk", "--new=1:2048:100000", "--new=2:100001:200000", a]);
  await machine.run(["partx", "--update", a]);
  expect(await seenOn(`${a}p1`)).toBe("");
  expect(await seenOn(`${a}p2`)).toBe("");
});

test("goes on where it was interrupted, and an empty disk is wiped as well", async () => {
  const [a, b] = [await installed("A1"), await installed("B2")];
  const disks = [planned("A1", 0), planned("B2", 1)];
  const interrupt = new AbortController();
  const context = machine.context({
    signal: interrupt.signal,
    run: (command, options) => {
      // The first disk has lost its signatures by now.
      if (command[0] === "wipefs" && command.includes("--all") && command.includes(`${b}p1`))
        interrupt.abort();
      return machine.run(command, { signal: interrupt.signal, ...options });
    },
  });
  await expect(wipe(disks, context)).rejects.toThrow("was cancelled");
  expect((await machine.run(["wipefs", "--no-act", a])).stdout).toBe("");
  expect(await seenOn(b)).toContain("gpt");

  await wipe(disks);
  expect(await seenOn(b)).toBe("");
  expect(await wipe(disks)).toContain("2 disks wiped");
});

test("touches nothing if one of the disks is not there or not the one that was planned", async () => {
  const [a, b] = [await installed("A1"), await installed("B2")];
  await machine.run(["sync"]);
  const before = [await seenOn(a), await seenOn(b)];
  await expect(wipe([planned("A1", 0), planned("Z9", 1)])).rejects.toThrow(
    "disk os/1 (serial Z9): no disk matches",
  );
  const grown = { ...planned("B2", 1), sizeBytes: BigInt(size) + 512n };
  await expect(wipe([planned("A1", 0), grown])).rejects.toThrow("the plan was made for");
  await expect(wipe([])).rejects.toThrow("names no disk");
  expect([await seenOn(a), await seenOn(b)]).toEqual(before);
  expect(machine.log.filter((line) => line.startsWith("$") && /wipefs --all|zap-all/.test(line))).toEqual([]);
  await wipe([planned("A1", 0), planned("B2", 1)]);
});

test("touches nothing if an array reaches beyond the disks", async () => {
  const disk = await installed("A1");
  const before = await seenOn(disk);
  const array = { name: "md127", path: "/dev/md127", type: "raid1" };
  const blockdevices = [disk, "/dev/other"].map((path) => ({ path, type: "disk", children: [array] }));
  // What the machine would show if it ran the array.
  const run: LoopMachine["run"] = async (command, options) =>
    command[0] === "lsblk" && !command.includes(disk)
      ? { ...(await machine.run(command, options)), stdout: JSON.stringify({ blockdevices }) }
      : machine.run(command, options);
  await expect(wipe([planned("A1", 0)], machine.context({ run }))).rejects.toThrow(
    `/dev/md127 lies on ${disk}, which the plan uses, and on /dev/other, which it does not.`,
  );
  expect(await seenOn(disk)).toBe(before);
  await wipe([planned("A1", 0)]);
});

test("says what is left when a disk does not become empty", async () => {
  const disk = await installed("A1");
  // A disk on which something stays whatever is written.
  const run: LoopMachine["run"] = async (command, options) =>
    command[0] === "wipefs" && command.includes("--no-act")
      ? { ...(await machine.run(command, options)), stdout: "gpt\n" }
      : machine.run(command, options);
  await expect(wipe([planned("A1", 0)], machine.context({ run }))).rejects.toThrow(
    `${disk} still shows gpt after it was erased. Retry;`,
  );
  expect(machine.erasures).toMatchObject([
    { serial: "A1", fault: expect.stringContaining("still shows gpt") },
  ]);
});

test("erases in full what the step says, and leaves what it is told to leave", async () => {
  const [a, b] = [await installed("A1"), await installed("B2")];
  const disks = [planned("A1", 0), planned("B2", 1)];
  const how = { mode: EraseMode.FULL, skip: ["B2"], protectedDisks: ["B2"] };
  const before = await seenOn(b);
  expect(await wipe(disks, machine.context(), how)).toBe(
    `1 disk erased in full: ${nameOf(a)} (A1) by discard`,
  );
  expect([await seenOn(a), await seenOn(b)]).toEqual(["", before]);
  expect(machine.erasures).toMatchObject([{ serial: "A1", mode: EraseMode.FULL, method: "discard" }]);
  await expect(wipe(disks, machine.context(), { ...how, skip: [] })).rejects.toThrow("(B2) is protected");
  expect(await seenOn(b)).toBe(before);
});
