// The steps around an image of a whole disk: it is emptied before, and only this machine's own files are written
// after. The image itself is played by a table and file systems made here.
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createBootloaderStep } from "../../node-agent/steps/bootloader.ts";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { createSeedStep } from "../../node-agent/steps/seed.ts";
import { type DiskPlan, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import {
  BootloaderStepSchema,
  PartitionStepSchema,
  SeedStepSchema,
} from "../../proto/gen/muster/v1/step_pb.ts";
import { LoopMachine, plannedDisk } from "./loop.ts";
import { inside, installTree } from "./system-tree.ts";

const size = 200 << 20;
let machine: LoopMachine;
let plan: DiskPlan;
let disk: string;

beforeEach(async () => {
  machine = await LoopMachine.create();
  disk = await machine.addDisk("A1", size);
  plan = create(DiskPlanSchema, { disks: [plannedDisk("A1", size, [])], rootDevice: "disk/os/0" });
});
afterEach(() => machine.dispose());

/** A boot partition, and behind it `/`. */
async function writeImage(): Promise<void> {
  await machine.run(["sgdisk", "--new=1:2048:+32M", "--new=2:0:0", disk]);
  await machine.run(["partx", "--update", "--nr", "1:128", disk]);
  await installTree(machine, `${disk}p1`, { vmlinuz: "" });
  await installTree(machine, `${disk}p2`, {
    "etc/fstab": "the image's own\n",
    "etc/hostname": "image\n",
    "etc/muster/bootstrap": "",
  });
}

function partition(): Promise<unknown> {
  return createPartitionStep(machine.options)(create(PartitionStepSchema, { plan }), machine.context());
}

function seed(rootPartition: number): Promise<unknown> {
  const systems = [{ imageDigest: "ab12", rootPartition }];
  const action = create(SeedStepSchema, { plan, systems, hostname: "node-1", instanceId: "i-1" });
  return createSeedStep(machine.options)(action, machine.context());
}

test("the disk is freed and emptied, however often", async () => {
  await writeImage();
  const { mountPoint } = machine.options;
  await machine.run(["mkdir", "-p", mountPoint]);
  await machine.run(["mount", `${disk}p2`, mountPoint]);
  for (let time = 0; time < 2; time++) {
    expect(await partition()).toBe(`${disk} emptied; the image brings its own partitions`);
    await machine.run(["partx", "--delete", disk], { okCodes: [0, 1] });
    const { stdout } = await machine.run(["wipefs", disk]);
    expect(stdout).toBe("");
    const file = await open(disk);
    const { buffer } = await file.read(Buffer.alloc(1 << 20), 0, 1 << 20, 0).finally(() => file.close());
    expect(buffer.every((byte) => byte === 0)).toBe(true);
  }
});

test("the root partition gets this machine's files, and nothing about file systems", async () => {
  await writeImage();
  for (let time = 0; time < 2; time++) {
    expect(await seed(2)).toBe("8 files for node-1; cloud-init instance i-1");
  }
  await inside(machine, `${disk}p2`, async (root) => {
    const read = (path: string) => readFile(join(root, path), "utf8");
    expect(await read("etc/fstab")).toBe("the image's own\n");
    expect(await read("etc/hostname")).toBe("node-1\n");
    expect(await read("var/lib/cloud/seed/nocloud/meta-data")).toContain("instance-id: i-1");
    expect(await read("var/lib/muster/agent/image-digest")).toBe("ab12\n");
    expect(await read("var/lib/muster/agent/key.pem")).toBe("key\n");
    await expect(stat(join(root, "etc/muster/bootstrap"))).rejects.toThrow("ENOENT");
  });
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(machine.directory);
});

test("a partition that is not / is refused", async () => {
  await writeImage();
  await expect(seed(1)).rejects.toThrow(`${disk}p1 has no /etc, so it is not the image's /`);
  await inside(machine, `${disk}p1`, async (root) => {
    await expect(stat(join(root, "etc"))).rejects.toThrow("ENOENT");
  });
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(machine.directory);
});

test("no boot loader is installed", async () => {
  await writeImage();
  const systems = [{ imageDigest: "ab12", rootPartition: 2 }];
  const action = create(BootloaderStepSchema, { plan, systems });
  expect(await createBootloaderStep(machine.options)(action, machine.context())).toBe(
    "nothing to install: an image of a whole disk brings its own boot loader",
  );
  expect(machine.log.join("\n")).not.toContain("grub");
});
