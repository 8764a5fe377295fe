// A volume group that stays, on an array and in an encrypted device that stay: its kept volumes keep every byte,
// while others go and come.
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { DiskAction, type DiskPlan, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { kernelHas } from "./kernel.ts";
import { LoopMachine, plannedDisk } from "./loop.ts";

const size = 400 << 20;
const { KEEP } = DiskAction;
const name = `k${process.pid}`;
const vg = `vg${name}`;
const array = `md/${name}`;
const luks = `luks/${name}`;
const lv = (volume: string) => `lv/${vg}/${volume}`;
let machine: LoopMachine;

beforeEach(async () => {
  machine = await LoopMachine.create();
  for (const serial of ["K0", "K1"]) await machine.addDisk(serial, size);
});
afterEach(() => machine.dispose());

function planWith(volumes: string[]): DiskPlan {
  const partitions = [{ name: "os", firstLba: 2048n, lastLba: 700_000n, typeCode: "fd00" }];
  return create(DiskPlanSchema, {
    disks: ["K0", "K1"].map((serial, index) => plannedDisk(serial, size, partitions, index)),
    mds: [{ name, level: 1, devices: ["partition/os/0/os", "partition/os/1/os"] }],
    luks: [
      {
        ...{ name, device: array, secret: "disk-key", type: "luks2" },
        options: ["--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"],
      },
    ],
    vgs: [{ name: vg, devices: [luks], extentBytes: 4n << 20n }],
    lvs: volumes.map((volume) => ({ name: volume, vg, sizeBytes: 64n << 20n })),
    fss: volumes.map((volume) => ({ device: lv(volume), type: "ext4", mount: `/${volume}` })),
  });
}

function apply(plan: DiskPlan, deployment: string): Promise<unknown> {
  const step = createPartitionStep(machine.options);
  return step(create(PartitionStepSchema, { plan }), machine.context({ step: `${deployment}/n1/partition` }));
}

async function digestOf(volume: string): Promise<string> {
  return (await machine.run(["sha256sum", `/dev/mapper/${vg}-${volume}`])).stdout;
}

function keepingPlan(): DiskPlan {
  const plan = planWith(["data", "fresh"]);
  for (const disk of plan.disks) {
    disk.table = KEEP;
    for (const partition of disk.partitions) partition.action = KEEP;
  }
  for (const kept of [...plan.mds, ...plan.luks, ...plan.vgs, plan.lvs[0], plan.fss[0]])
    if (kept) kept.action = KEEP;
  for (const group of plan.vgs) group.removes = ["old"];
  return plan;
}

describe.runIf(kernelHas("md", "dm", "dm-crypt"))("a kept group", () => {
  test("keeps what is kept, loses what goes, gets what is new", async () => {
    await apply(planWith(["data", "old"]), "demo-1");
    const before = await digestOf("data");
    expect(await apply(keepingPlan(), "demo-2")).toContain(`${vg}: data 64 MiB, fresh 64 MiB`);
    expect(await digestOf("data")).toBe(before);
    const { stdout } = await machine.run(["lvs", "--noheadings", "-o", "lv_name", vg]);
    expect(
      stdout
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean)
        .sort(),
    ).toEqual(["data", "fresh"]);
    expect(await apply(keepingPlan(), "demo-2")).toMatch(/^unchanged/);
    expect(await digestOf("data")).toBe(before);
  });

  test("is refused before anything is written where a kept volume is not as planned", async () => {
    await apply(planWith(["data", "old"]), "demo-1");
    const [before, old] = [await digestOf("data"), await digestOf("old")];
    const larger = keepingPlan();
    for (const volume of larger.lvs) volume.sizeBytes = 68n << 20n;
    await expect(apply(larger, "demo-2")).rejects.toThrow(
      `volume ${vg}/data has ${64 << 20} bytes. Nothing was changed`,
    );
    expect([await digestOf("data"), await digestOf("old")]).toEqual([before, old]);
  });
});
