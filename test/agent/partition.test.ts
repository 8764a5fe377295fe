// The partition step on loop devices: exact tables, file systems, and refusals that touch nothing.
import { readFile } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { type DiskPlan, DiskPlanSchema, PlannedLuksSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { LoopMachine, plannedDisk, sysfsPath } from "./loop.ts";

const size = 640 << 20;
let machine: LoopMachine;

beforeEach(async () => {
  machine = await LoopMachine.create();
});
afterEach(() => machine.dispose());

/** Odd sectors on purpose: the step has to respect them. */
function planFor(serial: string): DiskPlan {
  const partitions = [
    { name: "bios", firstLba: 2048n, lastLba: 4095n, typeCode: "ef02" },
    { name: "os", firstLba: 4097n, lastLba: 204_801n, typeCode: "8300" },
    { name: "var", firstLba: 204_803n, lastLba: 409_600n, typeCode: "8300" },
    { name: "data", firstLba: 409_601n, lastLba: 1_228_800n, typeCode: "8300" },
    { name: "swap", firstLba: 1_228_801n, lastLba: 1_300_000n, typeCode: "8200" },
  ];
  const device = (name: string) => `partition/os/0/${name}`;
  return create(DiskPlanSchema, {
    disks: [plannedDisk(serial, size, partitions)],
    fss: [
      { device: device("os"), type: "ext4", mount: "/" },
      { device: device("var"), type: "ext4", mount: "/var", label: "var" },
      { device: device("data"), type: "xfs", mount: "/data", label: "data" },
      { device: device("swap"), type: "swap" },
    ],
    rootDevice: device("os"),
  });
}

function apply(plan: DiskPlan, deployment = "demo-1"): Promise<unknown> {
  const step = createPartitionStep(machine.options);
  return step(create(PartitionStepSchema, { plan }), machine.context({ step: `${deployment}/n1/partition` }));
}

async function signature(device: string): Promise<string> {
  const command = ["blkid", "-p", "-s", "TYPE", "-s", "LABEL", "-o", "value", device] as const;
  return (await machine.run(command, { okCodes: [0, 2] })).stdout.trim().replaceAll("\n", " ");
}

async function expectLayout(disk: string, plan: DiskPlan): Promise<void> {
  for (const { number, firstLba, lastLba } of plan.disks[0]?.partitions ?? []) {
    const at = async (attribute: string) =>
      BigInt((await readFile(sysfsPath(`${disk}p${number}`, attribute), "utf8")).trim());
    expect(await at("start")).toBe(firstLba);
    expect(await at("size")).toBe(lastLba - firstLba + 1n);
  }
  const { stdout } = await machine.run(["sgdisk", "--print", disk]);
  expect(stdout).toMatch(/1 +2048 +4095 .* EF02 +bios/);
  expect(stdout).toMatch(/5 +1228801 +1300000 .* 8200 +swap/);
  expect((await machine.run(["sgdisk", "--verify", disk])).stdout).toContain("No problems found");
}

test("writes the table to the sector and makes every file system but root", async () => {
  const disk = await machine.addDisk("A1", size);
  const plan = planFor("A1");
  const result = await apply(plan);
  expect(result).toMatch(
    /^1 disk: gpt bios\+os\+var\+data\+swap; UUIDs: ext4 partition\/os\/0\/var [0-9a-f-]{36}, /,
  );
  await expectLayout(disk, plan);
  const signatures = await Promise.all([2, 3, 4, 5].map((number) => signature(`${disk}p${number}`)));
  expect(signatures).toEqual(["", "var ext4", "data xfs", "swap"]);
  // What it reports is what is there.
  const uuid = await machine.run(["blkid", "-p", "-s", "UUID", "-o", "value", `${disk}p4`]);
  expect(result).toContain(`xfs partition/os/0/data ${uuid.stdout.trim()}`);
  await machine.run(["e2fsck", "-f", "-n", `${disk}p3`]);
  await machine.run(["xfs_repair", "-n", `${disk}p4`]);
});

test("what is applied is not applied again by its deployment, and is by another", async () => {
  const disk = await machine.addDisk("A1", size);
  const plan = planFor("A1");
  const first = await apply(plan);
  const [file = ""] = [machine.fileOf("A1", 0)];
  const digest = async () => {
    await machine.run(["blockdev", "--flushbufs", disk]);
    return (await machine.run(["sha256sum", file])).stdout;
  };
  const before = await digest();
  machine.log.length = 0;
  expect(await apply(plan)).toBe(`unchanged, as this deployment has made it before: ${first}`);
  expect(await digest()).toBe(before);
  expect(machine.log.filter((line) => /^\$ (sgdisk|mkfs|mkswap|wipefs|mdadm)/.test(line))).toEqual([]);
  // A fresh deployment of the very same plan must not take the older system for its own.
  expect(await apply(plan, "demo-2")).toMatch(/^1 disk: /);
  expect(await digest()).not.toBe(before);
});

test("a file system that is no longer the one that was made is made again", async () => {
  const disk = await machine.addDisk("A1", size);
  const plan = planFor("A1");
  const first = await apply(plan);
  await machine.run(["mkfs.ext4", "-q", "-F", "-L", "var", `${disk}p3`]);
  expect(await apply(plan)).toBe(first);
  expect(machine.log).toContain("to be made: the file system of partition/os/0/var has another UUID");
});

test("a second deployment over a used disk ends as the first did", async () => {
  const disk = await machine.addDisk("A1", size);
  const plan = planFor("A1");
  await apply(plan);
  // In use, as after a run that was cut short: a mounted data file system and a root file system.
  await machine.run(["mkfs.ext4", "-q", `${disk}p2`]);
  await machine.run(["mkdir", "-p", `${machine.directory}/elsewhere`]);
  await machine.run(["mount", `${disk}p4`, `${machine.directory}/elsewhere`]);
  await machine.run(["swapon", `${disk}p5`]);
  await apply(plan, "demo-2");
  await expectLayout(disk, plan);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(machine.directory);
  expect(await readFile("/proc/swaps", "utf8")).not.toContain(disk);
  expect(await signature(`${disk}p2`)).toBe("");
});

test("what another layout left behind does not come back", async () => {
  const disk = await machine.addDisk("A1", size);
  // A file system on the whole disk, then one exactly where the new root partition begins.
  await machine.run(["mkfs.ext4", "-q", "-F", disk]);
  const offset = 4097 * 512;
  const inner = await machine.run([
    "losetup",
    "-f",
    "--show",
    "-o",
    String(offset),
    "--sizelimit",
    "100M",
    disk,
  ]);
  const loop = inner.stdout.trim();
  await machine
    .run(["mkfs.ext4", "-q", "-F", "-L", "old", loop])
    .finally(() => machine.run(["losetup", "-d", loop]));
  const plan = planFor("A1");
  await apply(plan);
  await expectLayout(disk, plan);
  expect(await signature(`${disk}p2`)).toBe("");
});

test("a disk that is not there, of another size or not the only one is refused, and nothing is touched", async () => {
  const disk = await machine.addDisk("A1", size);
  await machine.run(["mkfs.ext4", "-q", "-F", "-L", "keep", disk]);

  await expect(apply(planFor("B7"))).rejects.toThrow(
    `disk os/0 (serial B7): no disk matches. The machine has ${disk} (serial A1, wwn -, ${size} bytes)`,
  );
  const other = planFor("A1");
  for (const planned of other.disks) planned.sizeBytes += 512n;
  await expect(apply(other)).rejects.toThrow(
    `${disk} has ${size} bytes, the plan was made for ${size + 512}`,
  );

  const twin = await machine.addDisk("A1", size);
  await expect(apply(planFor("A1"))).rejects.toThrow(/2 disks match\. The machine has /);
  await expect(apply(planFor("A1"))).rejects.toThrow(twin);
  expect(await signature(disk)).toBe("keep ext4");
});

test("an encrypted device without its key is refused before anything is written", async () => {
  const disk = await machine.addDisk("A1", size);
  await machine.run(["mkfs.ext4", "-q", "-F", "-L", "keep", disk]);
  const plan = planFor("A1");
  plan.luks = [
    create(PlannedLuksSchema, { name: "safe", device: "partition/os/0/data", secret: "disk-key" }),
  ];
  const context = machine.context({ secrets: (name) => Promise.reject(new Error(`${name} is gone`)) });
  const applying = createPartitionStep(machine.options)(create(PartitionStepSchema, { plan }), context);
  await expect(applying).rejects.toThrow("disk-key is gone");
  expect(await signature(disk)).toBe("keep ext4");
});

test("a disk that is not in the plan keeps its content", async () => {
  await machine.addDisk("A1", size);
  const other = await machine.addDisk("C3", size);
  await machine.run(["mkfs.ext4", "-q", "-F", "-L", "keep", other]);
  await apply(planFor("A1"));
  expect(await signature(other)).toBe("keep ext4");
  expect(machine.log.filter((line) => line.startsWith("$") && line.includes(other))).toEqual([
    `$ mkfs.ext4 -q -F -L keep ${other}`,
    // It is looked at, by the step and then by the test.
    `$ blkid --probe --output export ${other}`,
    `$ blkid -p -s TYPE -s LABEL -o value ${other}`,
  ]);
});

test("sectors of 4096 bytes", async () => {
  const disk = await machine.addDisk("A1", size, undefined, 4096);
  const partitions = [
    { name: "esp", firstLba: 256n, lastLba: 70_000n, typeCode: "ef00" },
    { name: "data", firstLba: 70_001n, lastLba: 150_000n, typeCode: "8300" },
  ];
  const planned = { ...plannedDisk("A1", size, partitions), logicalSectorBytes: 4096 };
  const plan = create(DiskPlanSchema, {
    disks: [planned],
    fss: [
      { device: "partition/os/0/esp", type: "vfat", mount: "/boot/efi" },
      { device: "partition/os/0/data", type: "xfs", mount: "/data" },
    ],
  });
  const first = await apply(plan);
  expect(await readFile(sysfsPath(`${disk}p2`, "start"), "utf8")).toBe(`${70_001 * 8}\n`);
  expect((await machine.run(["sgdisk", "--verify", disk])).stdout).toContain("No problems found");
  await machine.run(["xfs_repair", "-n", `${disk}p2`]);
  await machine.run(["fsck.vfat", "-n", `${disk}p1`]);
  expect(await apply(plan)).toBe(`unchanged, as this deployment has made it before: ${first}`);
});

test("a cancelled step stops", async () => {
  const disk = await machine.addDisk("A1", size);
  const aborted = machine.context({ signal: AbortSignal.abort() });
  const action = create(PartitionStepSchema, { plan: planFor("A1") });
  await expect(createPartitionStep(machine.options)(action, aborted)).rejects.toThrow("was cancelled");
  expect(await signature(disk)).toBe("");
});
