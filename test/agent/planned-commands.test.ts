// What `--show-commands` prints is what the partition step runs: compared on loop devices, over an older layout.
import { basename } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Runner } from "../../node-agent/runner.ts";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { partitionPath } from "../../node-agent/storage/devices.ts";
import { type Identifiers, identifiersOf } from "../../node-agent/storage/identifiers.ts";
import { plannedCommands } from "../../node-agent/storage/planned-commands.ts";
import { DiskExtentSchema, type DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { type Layout, msdos, plain } from "./layouts.ts";
import { LoopMachine } from "./loop.ts";

/** They change nothing, and are not shown. */
const looking = /^(lsblk|blkid|udevadm|sfdisk --json)( |$)/;

test("one disk with an msdos table, over a GPT: the same commands in the same order", async () => {
  const { ran, shown } = await applyOver(plain, msdos);
  expect(ran).toEqual(shown);
});

test("two disks with a GPT, whose tables are written at the same time: the same commands", async () => {
  const { ran, shown } = await applyOver(msdos, plain);
  expect(ran.toSorted()).toEqual(shown.toSorted());
});

async function applyOver(former: Layout, layout: Layout): Promise<{ ran: string[]; shown: string[] }> {
  const machine = await LoopMachine.create();
  try {
    const sizeBytes = Math.max(former.sizeBytes, layout.sizeBytes);
    for (let i = 0; i < Math.max(former.disks, layout.disks); i++) await machine.addDisk(`D${i}`, sizeBytes);
    const apply = (plan: DiskPlan, step: string, run: Runner) => {
      const context = machine.context({ run, step });
      return createPartitionStep(machine.options)(create(PartitionStepSchema, { plan }), context);
    };
    const [old, plan] = [resized(former, sizeBytes), resized(layout, sizeBytes)];
    await apply(old, "older-1/n1/partition", machine.run);
    // As an inventory would have it.
    plan.disks.forEach((disk, i) => {
      const { path = "" } = machine.disks[i] ?? {};
      disk.lastName = basename(path);
      disk.before = (old.disks[i]?.partitions ?? []).map(({ number }) =>
        create(DiskExtentSchema, { name: basename(partitionPath(path, number)) }),
      );
    });
    const ran: string[] = [];
    const step = "demo-1/n1/partition";
    await apply(plan, step, async (argv, options) => {
      if (!looking.test(argv.join(" "))) ran.push(argv.join(" "));
      const result = await machine.run(argv, options);
      // Where a table is wiped the kernel forgets its partitions; a loop device has to be told.
      const wiped = machine.disks.find(({ path }) => argv.join(" ") === `wipefs --all ${path}`);
      if (wiped) await machine.run(["partx", "--delete", wiped.path], { okCodes: [0, 1] });
      return result;
    });
    return { ran, shown: argumentsOf(plannedCommands(plan), identifiersOf(plan, machine.context({ step }))) };
  } finally {
    await machine.dispose();
  }
}

function resized(layout: Layout, sizeBytes: number): DiskPlan {
  const plan = layout.plan("");
  for (const disk of plan.disks) disk.sizeBytes = BigInt(sizeBytes);
  return plan;
}

/** Without comments and input, and with the identifiers that the deployment gives. */
function argumentsOf(lines: string[], ids: Identifiers): string[] {
  return lines
    .filter((line) => !line.startsWith("#") && !line.includes("\n") && line !== "END")
    .map((line) =>
      line
        .replace(/ <<END$/, "")
        .replaceAll(/SERIAL\(([^)]+)\)/g, (_, name: string) => ids.serial(name))
        .replaceAll(/UUID\((disk[^)]+)\)/gi, (_, name: string) => ids.uuid(name.toLowerCase()).toUpperCase())
        .replaceAll(/UUID\(([^)]+)\)/g, (_, name: string) => ids.uuid(name)),
    );
}
