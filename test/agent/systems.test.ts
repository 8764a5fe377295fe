// Two operating systems on one disk: each gets its own files, and GRUB of the first has both in its menu.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Runner } from "../../node-agent/runner.ts";
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

const size = 300 << 20;
const on = (name: string) => `partition/os/0/${name}`;
const systems = [
  { os: "blue", imageDigest: "b1", kernelVersion: "6.1.0" },
  { os: "green", imageDigest: "g1", kernelVersion: "6.12.0" },
];
let machine: LoopMachine;
let plan: DiskPlan;
let disk: string;

beforeEach(async () => {
  machine = await LoopMachine.create();
  disk = await machine.addDisk("A1", size);
  const partitions = [
    { name: "bios", firstLba: 2048n, lastLba: 4095n, typeCode: "ef02" },
    { name: "blue", firstLba: 4096n, lastLba: 167_935n, typeCode: "8300" },
    { name: "green", firstLba: 167_936n, lastLba: 331_775n, typeCode: "8300" },
    { name: "logs", firstLba: 331_776n, lastLba: 430_079n, typeCode: "8300" },
    { name: "home", firstLba: 430_080n, lastLba: 528_383n, typeCode: "8300" },
  ];
  plan = create(DiskPlanSchema, {
    disks: [{ ...plannedDisk("A1", size, partitions), bootloader: true }],
    fss: [
      { device: on("blue"), type: "ext4", mount: "/", os: ["blue"] },
      { device: on("green"), type: "ext4", mount: "/", os: ["green"] },
      { device: on("logs"), type: "ext4", mount: "/var/log", os: ["green"] },
      { device: on("home"), type: "ext4", mount: "/home" },
    ],
    rootDevice: on("blue"),
    systems: [
      { os: "blue", rootDevice: on("blue") },
      { os: "green", rootDevice: on("green") },
    ],
  });
  await createPartitionStep(machine.options)(create(PartitionStepSchema, { plan }), machine.context());
  for (const [index, { os, kernelVersion }] of systems.entries()) {
    await installTree(machine, `${disk}p${index + 2}`, {
      "etc/os": `${os}\n`,
      "var/log/installed": `by the image of ${os}\n`,
      [`boot/vmlinuz-${kernelVersion}`]: "",
      [`boot/initrd.img-${kernelVersion}`]: "",
      "usr/lib/grub/i386-pc/": "",
      "dev/": "",
      "proc/": "",
      "sys/": "",
      "run/": "",
    });
  }
});
afterEach(() => machine.dispose());

async function uuidOf(number: number): Promise<string> {
  const { stdout } = await machine.run(["blkid", "-p", "-s", "UUID", "-o", "value", `${disk}p${number}`]);
  return stdout.trim();
}

async function expectNoMounts(): Promise<void> {
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(machine.directory);
}

test("each is seeded in its own file systems", async () => {
  const action = create(SeedStepSchema, { plan, systems, hostname: "node-1", instanceId: "i-1" });
  expect(await createSeedStep(machine.options)(action, machine.context())).toBe(
    "18 files for node-1 in blue and green; cloud-init instance i-1",
  );
  const shared = `UUID=${await uuidOf(5)} /home ext4 defaults,nofail 0 2\n`;
  const rootLine = (uuid: string) => `UUID=${uuid} / ext4 errors=remount-ro 0 1\n`;
  for (const [index, { os, imageDigest }] of systems.entries()) {
    const logs = os === "green" ? `UUID=${await uuidOf(4)} /var/log ext4 defaults,nofail 0 2\n` : "";
    const root = rootLine(await uuidOf(index + 2));
    await inside(machine, `${disk}p${index + 2}`, async (mounted) => {
      const read = (path: string) => readFile(join(mounted, path), "utf8");
      expect(await read("etc/os")).toBe(`${os}\n`);
      expect((await read("etc/fstab")).split("\n").sort()).toEqual(
        `${root}${shared}${logs}`.split("\n").sort(),
      );
      expect(await read("etc/hostname")).toBe("node-1\n");
      expect(await read("var/lib/cloud/seed/nocloud/meta-data")).toContain("instance-id: i-1");
      expect(await read("etc/muster/join.json")).toBe("{}");
      expect(await read("var/lib/muster/agent/key.pem")).toBe("key\n");
      expect(await read("var/lib/muster/agent/image-digest")).toBe(`${imageDigest}\n`);
    });
  }
  await inside(machine, `${disk}p4`, async (logs) => {
    expect(await readFile(join(logs, "installed"), "utf8")).toBe("by the image of green\n");
  });
  await expectNoMounts();
});

/** Runs everything but what GRUB does in the installed system, of which it keeps the words. */
function withoutGrub(words: string[][]): Runner {
  return async (argv, options) => {
    if (argv[0] !== "chroot") return machine.run(argv, options);
    words.push(argv.slice(2));
    return { code: 0, stdout: "", stderr: "" };
  };
}

function bootloader(words: string[][]): Promise<unknown> {
  const action = create(BootloaderStepSchema, { plan, systems, kernelParameters: ["quiet"] });
  return createBootloaderStep(machine.options)(action, machine.context({ run: withoutGrub(words) }));
}

test("GRUB comes from the first, and has the other in its menu", async () => {
  const words: string[][] = [];
  const [blue, green] = [await uuidOf(2), await uuidOf(3)];
  expect(await bootloader(words)).toBe(
    `GRUB for BIOS on ${disk}; blue: Linux 6.1.0 from UUID=${blue}; in its menu green: Linux 6.12.0 from UUID=${green}`,
  );
  expect(words).toEqual([["grub-install", "--modules=part_gpt ext2", "--target=i386-pc", "--recheck", disk]]);
  await inside(machine, `${disk}p2`, async (root) => {
    const config = await readFile(join(root, "boot/grub/grub.cfg"), "utf8");
    expect(config).toMatch(
      new RegExp(`search .* ${blue}\n[^]*menuentry 'blue: Linux 6.1.0'[^]*root=UUID=${blue} ro .* quiet\n`),
    );
    const entry = await readFile(join(root, "boot/grub/custom.cfg"), "utf8");
    expect(entry).toMatch(
      new RegExp(`'green: Linux 6.12.0' [^]*search .* ${green}\n.*root=UUID=${green} ro`),
    );
    expect(config.endsWith(entry)).toBe(true);
    expect(await readFile(join(root, "etc/default/grub"), "utf8")).toContain("GRUB_TIMEOUT=5\n");
  });
  await inside(machine, `${disk}p3`, async (root) => {
    await expect(stat(join(root, "boot/grub"))).rejects.toThrow("ENOENT");
    expect(await readFile(join(root, "etc/default/grub"), "utf8")).toContain("quiet");
  });
  await expectNoMounts();
});

test("a system without its kernel is named, and GRUB is not installed", async () => {
  await inside(machine, `${disk}p3`, (root) => machine.run(["rm", join(root, "boot/initrd.img-6.12.0")]));
  const words: string[][] = [];
  await expect(bootloader(words)).rejects.toThrow(
    "the installed system green has no /boot/initrd.img-6.12.0, which the image's manifest names",
  );
  expect(words).toEqual([]);
  await expectNoMounts();
});
