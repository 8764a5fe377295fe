// The seed step on loop devices: what it writes lies in the right file system, and nothing stays mounted.
import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { testImageKey } from "../../node-agent/delivery/testing/cut-image.ts";
import { createImageStep } from "../../node-agent/steps/image.ts";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { createSeedStep } from "../../node-agent/steps/seed.ts";
import { type DiskPlan, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { ImageStepSchema, PartitionStepSchema, SeedStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { kernelHas } from "./kernel.ts";
import { LoopMachine, plannedDisk } from "./loop.ts";
import { buildTestImage } from "./test-image.ts";

const size = 640 << 20;
const partitions = [
  { name: "os", firstLba: 2048n, lastLba: 206_847n, typeCode: "8300" },
  { name: "var", firstLba: 206_848n, lastLba: 409_599n, typeCode: "8300" },
  { name: "swap", firstLba: 409_600n, lastLba: 419_839n, typeCode: "8200" },
  { name: "data", firstLba: 419_840n, lastLba: 1_228_799n, typeCode: "8300" },
];
let machine: LoopMachine;
let plan: DiskPlan;
let digest: string;
let disk: string;

beforeEach(async () => {
  machine = await LoopMachine.create();
  disk = await machine.addDisk("A1", size);
  const device = (name: string) => `partition/os/0/${name}`;
  plan = create(DiskPlanSchema, {
    disks: [plannedDisk("A1", size, partitions)],
    fss: [
      { device: device("data"), type: "xfs", mount: "/var/lib/data" },
      { device: device("swap"), type: "swap" },
      { device: device("var"), type: "ext4", mount: "/var" },
      { device: device("os"), type: "ext4", mount: "/" },
    ],
    rootDevice: device("os"),
  });
  const image = await buildTestImage(machine.run, machine.directory, 48 << 20);
  digest = image.digest;
  await createPartitionStep(machine.options)(create(PartitionStepSchema, { plan }), machine.context());
  const context = machine.context();
  await createImageStep(machine.options)(
    create(ImageStepSchema, { plan, targets: [{ imageDigest: digest, device: plan.rootDevice }] }),
    {
      ...context,
      images: image.images,
      identity: { ...context.identity, imageKey: testImageKey },
    },
  );
  image.source.close();
});
afterEach(() => machine.dispose());

function apply(): Promise<unknown> {
  const action = create(SeedStepSchema, {
    plan,
    systems: [{ imageDigest: digest }],
    hostname: "node-1",
    domain: "lab.test",
    instanceId: "i-1",
    mac: "52:54:00:77:00:10",
  });
  return createSeedStep(machine.options)(action, machine.context());
}

/** Mounts one partition by itself and looks into it. */
async function inside<T>(number: number, look: (directory: string) => Promise<T>): Promise<T> {
  const directory = join(machine.directory, "look");
  await mkdir(directory, { recursive: true });
  await machine.run(["mount", `${disk}p${number}`, directory]);
  try {
    return await look(directory);
  } finally {
    await machine.run(["umount", directory]);
  }
}

async function expectSeeded(): Promise<void> {
  await inside(1, async (root) => {
    const fstab = await readFile(join(root, "etc/fstab"), "utf8");
    const { stdout } = await machine.run(["blkid", "-p", "-s", "UUID", "-o", "value", `${disk}p1`]);
    expect(fstab.split("\n")[0]).toBe(`UUID=${stdout.trim()} / ext4 errors=remount-ro 0 1`);
    expect(await readFile(join(root, "etc/hostname"), "utf8")).toBe("node-1\n");
    expect(await readFile(join(root, "etc/muster/join.json"), "utf8")).toBe("{}");
    await expect(stat(join(root, "etc/muster/bootstrap"))).rejects.toThrow("ENOENT");
  });
  await inside(2, async (varRoot) => {
    // What the image has below /var is on the file system of /var.
    expect(await readFile(join(varRoot, "lib/deep/file"), "utf8")).toBe("from the image\n");
    const key = join(varRoot, "lib/muster/agent/key.pem");
    expect(await readFile(key, "utf8")).toBe("key\n");
    expect((await stat(key)).mode & 0o777).toBe(0o600);
    expect(await readFile(join(varRoot, "lib/muster/agent/image-digest"), "utf8")).toBe(`${digest}\n`);
    const seed = join(varRoot, "lib/cloud/seed/nocloud");
    expect(await readFile(join(seed, "meta-data"), "utf8")).toContain("instance-id: i-1");
  });
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  expect(mounts).not.toContain(machine.directory);
}

test("seeds the machine's files, twice with the same end", async () => {
  expect(await apply()).toBe("9 files for node-1; cloud-init instance i-1");
  await expectSeeded();
  await apply();
  await expectSeeded();
});

test.runIf(kernelHas("vfat"))("a config drive is written where the plan has one", async () => {
  const [swap] = plan.disks[0]?.partitions.filter(({ name }) => name === "swap") ?? [];
  if (!swap) throw new Error("the plan has no partition for it");
  // Not the swap of the plan any more.
  plan.fss = plan.fss.filter(({ type }) => type !== "swap");
  swap.configdrive = true;
  expect(await apply()).toBe("9 files for node-1; cloud-init instance i-1; 1 config drive");
  await inside(3, async (drive) => {
    const data = await readFile(join(drive, "openstack/latest/meta_data.json"), "utf8");
    expect(JSON.parse(data)).toEqual({ uuid: "i-1", hostname: "node-1" });
  });
});

test("leftover mounts of a killed step are no obstacle, and a failure leaves none", async () => {
  const { mountPoint } = machine.options;
  await mkdir(mountPoint, { recursive: true });
  await machine.run(["mount", `${disk}p1`, mountPoint]);
  await machine.run(["mount", `${disk}p2`, join(mountPoint, "var")]);
  // A file system that cannot be mounted: the mounts before it have to go again.
  await machine.run(["dd", "if=/dev/zero", `of=${disk}p4`, "bs=1M", "count=8", "seek=20", "conv=fsync"]);
  await machine.run(["dd", "if=/dev/zero", `of=${disk}p4`, "bs=512", "seek=1", "count=63", "conv=fsync"]);
  await expect(apply()).rejects.toThrow(/mount/);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(machine.directory);
});
