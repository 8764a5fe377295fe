// What a plan keeps: never written to, found as planned before anything is changed, and refused where it is not.
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import {
  DiskAction,
  type DiskPlan,
  DiskPlanSchema,
  RemovedPartitionSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { LoopMachine, plannedDisk } from "./loop.ts";

const size = 400 << 20;
const { KEEP } = DiskAction;
let machine: LoopMachine;
let disk: string;

const places = [
  { name: "os", firstLba: 2048n, lastLba: 206_847n, typeCode: "8300" },
  { name: "data", firstLba: 206_849n, lastLba: 409_600n, typeCode: "8300" },
  { name: "swap", firstLba: 409_601n, lastLba: 450_000n, typeCode: "8200" },
];
const on = (name: string) => `partition/os/0/${name}`;

beforeEach(async () => {
  machine = await LoopMachine.create();
  disk = await machine.addDisk("K1", size);
});
afterEach(() => machine.dispose());

function firstPlan(label: string): DiskPlan {
  const planned = plannedDisk("K1", size, places);
  planned.label = label;
  if (label === "msdos") for (const partition of planned.partitions) partition.typeCode = "83";
  return create(DiskPlanSchema, {
    disks: [planned],
    fss: [
      { device: on("os"), type: "ext4", mount: "/" },
      { device: on("data"), type: "ext4", mount: "/data", label: "data" },
      { device: on("swap"), type: "swap" },
    ],
    rootDevice: on("os"),
  });
}

/** Keeps data, and has two partitions in the place of root and swap. */
function keepingPlan(label: string): DiskPlan {
  const plan = firstPlan(label);
  const [planned] = plan.disks;
  const [os, data, swap] = planned?.partitions ?? [];
  if (!planned || !os || !data || !swap) throw new Error("the plan has no partitions");
  planned.table = KEEP;
  data.action = KEEP;
  planned.removes = [os, swap].map(({ number, firstLba, lastLba }) =>
    create(RemovedPartitionSchema, { number, firstLba, lastLba }),
  );
  os.lastLba = 150_000n;
  planned.partitions.push({ ...os, number: 4, name: "var", firstLba: 150_001n, lastLba: 206_000n });
  const fs = plan.fss.find(({ device }) => device === on("data"));
  if (!fs) throw new Error("the plan has no file system for data");
  fs.action = KEEP;
  plan.fss.push({
    ...fs,
    device: on("var"),
    type: "ext3",
    mount: "/var",
    label: "",
    action: DiskAction.CREATE,
  });
  return plan;
}

function apply(plan: DiskPlan, deployment: string): Promise<unknown> {
  const step = createPartitionStep(machine.options);
  return step(create(PartitionStepSchema, { plan }), machine.context({ step: `${deployment}/n1/partition` }));
}

/** Of the bytes between these sectors, as the file behind the disk has them. */
async function digestOf(firstLba: bigint, lastLba: bigint): Promise<string> {
  await machine.run(["sync"]);
  await machine.run(["blockdev", "--flushbufs", disk]);
  const range = [`skip=${firstLba}`, `count=${lastLba - firstLba + 1n}`];
  const command = `dd if=${machine.fileOf("K1", 0)} bs=512 ${range.join(" ")} status=none | sha256sum`;
  return (await machine.run(["bash", "-c", command])).stdout;
}

async function tableId(): Promise<string> {
  const { stdout } = await machine.run(["sfdisk", "--disk-id", disk]);
  return stdout;
}

for (const label of ["gpt", "msdos"]) {
  test(`a kept partition of a table of type ${label} stays byte by byte, while all around it is new`, async () => {
    await apply(firstPlan(label), "demo-1");
    const before = await digestOf(206_849n, 409_600n);
    const id = await tableId();
    const plan = keepingPlan(label);
    expect(await apply(plan, "demo-2")).toMatch(/^1 disk: \w+ os\+data\+swap\+var; /);
    expect(await digestOf(206_849n, 409_600n)).toBe(before);
    const types = await machine.run(["lsblk", "-n", "-r", "-o", "NAME,SIZE", "-b", disk]);
    expect(
      types.stdout
        .trim()
        .split("\n")
        .slice(1)
        .map((line) => line.replace(/^\S+p/, ""))
        .sort(),
    ).toEqual([
      `1 ${(150_000 - 2048 + 1) * 512}`,
      `2 ${(409_600 - 206_849 + 1) * 512}`,
      `3 ${(450_000 - 409_601 + 1) * 512}`,
      `4 ${(206_000 - 150_001 + 1) * 512}`,
    ]);
    // Partitions of an msdos table are found by its identifier, also by the system that stays.
    if (label === "msdos") expect(await tableId()).toBe(id);
    // Again: by the same deployment, which finds its own partitions in the place of what it has removed.
    await apply(plan, "demo-2");
    expect(await digestOf(206_849n, 409_600n)).toBe(before);
  });
}

test("what is not as the plan keeps it is refused before anything is written", async () => {
  await apply(firstPlan("gpt"), "demo-1");
  const before = await digestOf(0n, BigInt(size / 512) - 1n);
  const change = (alter: (plan: DiskPlan) => void): DiskPlan => {
    const plan = keepingPlan("gpt");
    alter(plan);
    return plan;
  };
  const [planned, fs] = [(plan: DiskPlan) => plan.disks[0], (plan: DiskPlan) => plan.fss[1]];
  const wrong: [string, (plan: DiskPlan) => void][] = [
    [
      "partition 2 lies at 206849 to 409600",
      (plan) => Object.assign(planned(plan)?.partitions[1] ?? {}, { lastLba: 409_599n }),
    ],
    [
      "partition 9, which the plan keeps, is not there",
      (plan) => Object.assign(planned(plan)?.partitions[1] ?? {}, { number: 9 }),
    ],
    [
      "its table is gpt, the plan keeps one of type msdos",
      (plan) => Object.assign(planned(plan) ?? {}, { label: "msdos" }),
    ],
    ["partition 1 at 2048 to 206847 is not in the plan", (plan) => planned(plan)?.removes.shift()],
    ["holds ext4, not xfs", (plan) => Object.assign(fs(plan) ?? {}, { type: "xfs" })],
    ["has the label data", (plan) => Object.assign(fs(plan) ?? {}, { label: "other" })],
  ];
  for (const [message, alter] of wrong) {
    await expect(apply(change(alter), "demo-2")).rejects.toThrow(
      new RegExp(`(${message}).*Nothing was changed`),
    );
    expect(await digestOf(0n, BigInt(size / 512) - 1n)).toBe(before);
  }
});

test("a disk of which everything is kept is not written at all", async () => {
  await apply(firstPlan("gpt"), "demo-1");
  const before = await digestOf(0n, BigInt(size / 512) - 1n);
  const plan = firstPlan("gpt");
  const [kept] = plan.disks;
  if (!kept) throw new Error("the plan has no disk");
  kept.table = KEEP;
  for (const one of [...kept.partitions, ...plan.fss]) one.action = KEEP;
  // Root is the image's and has no file system yet.
  plan.fss.shift();
  expect(await apply(plan, "demo-2")).toMatch(/^unchanged, /);
  expect(await digestOf(0n, BigInt(size / 512) - 1n)).toBe(before);
});
