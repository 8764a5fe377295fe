// Leftovers that reach beyond the plan, on disks as LVM and mdadm write them: refused with a remedy, and never
// touched. Copies of a disk are no reason to refuse.
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { kernelHas } from "./kernel.ts";
import { LoopMachine, plannedDisk } from "./loop.ts";

const size = 200 << 20;
const group = `mustertest${process.pid}`;
let machine: LoopMachine;
let own: string;
let foreign: string;

beforeEach(async () => {
  machine = await LoopMachine.create();
  own = await machine.addDisk("A1", size);
  foreign = await machine.addDisk("F1", size);
});
afterEach(() => machine.dispose());

function apply(vg = ""): Promise<unknown> {
  const partitions = [{ name: "os", firstLba: 2048n, lastLba: 204_800n, typeCode: "8300" }];
  const device = "partition/os/0/os";
  const plan = create(DiskPlanSchema, {
    disks: [plannedDisk("A1", size, partitions)],
    ...(vg
      ? { vgs: [{ name: vg, devices: [device] }] }
      : { fss: [{ device, type: "ext4", mount: "/data" }] }),
  });
  return createPartitionStep(machine.options)(create(PartitionStepSchema, { plan }), machine.context());
}

async function digests(): Promise<string> {
  await machine.run(["sync"]);
  return (await machine.run(["sha256sum", machine.fileOf("A1", 0), machine.fileOf("F1", 1)])).stdout;
}

/** Only what names these devices: other groups of the host are none of a test's business. */
const lvm = (program: string, ...args: string[]) =>
  machine.run([program, "--devices", machine.disks.map(({ path }) => path).join(","), ...args]);

test("a volume group with parts on both is refused, whether it runs or not", async () => {
  await lvm("pvcreate", "--yes", own, foreign);
  await lvm("vgcreate", "--yes", group, own, foreign);
  const before = await digests();
  await expect(apply()).rejects.toThrow(
    new RegExp(
      `^volume group \\S+ has parts on ${own}, which the plan uses, and on ${foreign}, which it does not`,
    ),
  );
  expect(await digests()).toBe(before);
});

test("a group of the planned name on another disk is refused; any other is not", async () => {
  await lvm("pvcreate", "--yes", foreign);
  await lvm("vgcreate", "--yes", group, foreign);
  const before = await digests();
  await expect(apply(group)).rejects.toThrow(
    `the plan makes the volume group ${group}, and ${foreign}, which`,
  );
  expect(await digests()).toBe(before);
  expect(await apply()).toMatch(/^1 disk: gpt os/);
  expect((await digests()).split("\n")[1]).toBe(before.split("\n")[1]);
});

test("a copy of a disk of the plan stays as it is", async () => {
  await lvm("pvcreate", "--yes", own);
  await lvm("vgcreate", "--yes", group, own);
  await machine.run(["dd", `if=${own}`, `of=${foreign}`, "bs=4M", "conv=fsync"]);
  const before = await digests();
  expect(await apply()).toMatch(/^1 disk: gpt os/);
  expect((await digests()).split("\n")[1]).toBe(before.split("\n")[1]);
  // Under the name of the copy's group nothing is made.
  await expect(apply(group)).rejects.toThrow("vgrename");
});

describe.runIf(kernelHas("md"))("arrays", () => {
  test("an array on both is refused, running or stopped", async () => {
    const array = `/dev/md/${group}`;
    const create = ["--create", array, "--run", "--level=1", "--raid-devices=2", "--metadata=1.2"];
    await machine.run(["mdadm", ...create, own, foreign]);
    try {
      await expect(apply()).rejects.toThrow(/^\/dev\/md\d+ lies on \S+, which the plan uses, and on /);
    } finally {
      await machine.run(["mdadm", "--stop", array]);
    }
    const before = await digests();
    await expect(apply()).rejects.toThrow(new RegExp(`^md array \\S+ has parts on ${own}, .* on ${foreign}`));
    expect(await digests()).toBe(before);
  });
});
