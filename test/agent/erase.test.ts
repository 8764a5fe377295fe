// Erasing on loop devices: what is read back, what is refused, and what is left alone.
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Runner } from "../../node-agent/runner.ts";
import { CommandError } from "../../node-agent/runner.ts";
import { eraseDisks } from "../../node-agent/storage/erase.ts";
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

const options = { skip: [], protectedDisks: [] };

async function content(): Promise<Buffer> {
  await machine.run(["sync"]);
  return readFile(machine.fileOf("E1", 0));
}

function isZero(bytes: Buffer): boolean {
  return bytes.equals(Buffer.alloc(bytes.length));
}

test("metadata: both ends are cleared, the middle stays", async () => {
  const [line] = await eraseDisks(machine.disks, { ...options, mode: "metadata" }, machine.context());
  expect(line).toBe(
    `${disk} (E1): metadata erase by removing signatures and clearing both ends; 8 MiB in 8 places, both ends ` +
      "among them, read back as zeros",
  );
  expect(machine.log).toContain(`erased: ${line}`);
  const bytes = await content();
  expect(isZero(bytes.subarray(0, 4 << 20))).toBe(true);
  expect(isZero(bytes.subarray(-(4 << 20)))).toBe(true);
  expect(isZero(bytes.subarray(30 << 20, 34 << 20))).toBe(false);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(machine.directory);
});

test("full: everything is discarded and read back", async () => {
  const [line] = await eraseDisks(machine.disks, { ...options, mode: "full" }, machine.context());
  expect(line).toBe(`${disk} (E1): full erase by discard; all 48 MiB read back as zeros`);
  expect(isZero(await content())).toBe(true);
});

test("full, on a disk that cannot discard: everything is overwritten", async () => {
  const run: Runner = (argv, runOptions) => {
    if (argv[0] === "blkdiscard" && !argv.includes("--zeroout")) {
      return Promise.reject(new CommandError("BLKDISCARD: Operation not supported", 1));
    }
    return machine.run(argv, runOptions);
  };
  const [line] = await eraseDisks(machine.disks, { ...options, mode: "full" }, machine.context({ run }));
  expect(line).toBe(`${disk} (E1): full erase by overwriting with zeros; all 48 MiB read back as zeros`);
  expect(isZero(await content())).toBe(true);
});

test("an erase that leaves something is no success", async () => {
  const run: Runner = async (argv, runOptions) => {
    if (argv[0] !== "blkdiscard" || argv.includes("--offset")) return machine.run(argv, runOptions);
    if (!argv.includes("--zeroout")) throw new CommandError("BLKDISCARD: Operation not supported", 1);
    return { code: 0, stdout: "", stderr: "" };
  };
  const erase = eraseDisks(machine.disks, { ...options, mode: "full" }, machine.context({ run }));
  await expect(erase).rejects.toThrow(/still has its content at byte \d+ after overwriting/);
});

test("a protected disk is never erased, nor any beside it; a skipped one is left", async () => {
  const other = await machine.addDisk("E2", size);
  await machine.run(["mkfs.ext4", "-q", "-F", "-L", "keep", other]);
  const before = await readFile(machine.fileOf("E2", 1));
  const forbidden = { mode: "full", skip: [], protectedDisks: ["E2"] } as const;
  await expect(eraseDisks(machine.disks, forbidden, machine.context())).rejects.toThrow("(E2) is protected");
  expect(await readFile("/proc/self/mountinfo", "utf8")).toContain(machine.directory);
  const lines = await eraseDisks(
    machine.disks,
    { ...options, mode: "full", skip: ["E2"] },
    machine.context(),
  );
  expect(lines).toHaveLength(1);
  expect((await readFile(machine.fileOf("E2", 1))).equals(before)).toBe(true);
});

test("a file system that reaches to another disk is not torn apart", async () => {
  const other = await machine.addDisk("E2", 120 << 20);
  const third = await machine.addDisk("E3", 120 << 20);
  await machine.run(["mkfs.btrfs", "-q", "-f", other, third]);
  const [, second] = machine.disks;
  if (!second) throw new Error("no second disk");
  const erase = eraseDisks([second], { ...options, mode: "metadata" }, machine.context());
  await expect(erase).rejects.toThrow(
    new RegExp(`^btrfs .* has parts on ${other}, .* and on ${third}, which`),
  );
  await eraseDisks(machine.disks.slice(1), { ...options, mode: "metadata" }, machine.context());
});
