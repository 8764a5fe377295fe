// An apply that is cut off between any two commands: the next one finishes it, to the same end, and no disk that
// is not in the plan changes by a byte.
//
// A command that only looks leaves the disks as they were, so being cut off after it is the same as before it:
// only commands that write count. One layout is cut off after each of them at every run, the others after some;
// MUSTER_SWEEP=all has all of them cut off after each, by a runner that hangs up and by kill -9.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Runner } from "../../node-agent/runner.ts";
import { createPartitionStep } from "../../node-agent/steps/partition.ts";
import { PartitionStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import type { ChildOrder } from "./apply-child.ts";
import { kernelHas } from "./kernel.ts";
import { arrays, type Layout, msdos, plain, raid1Lvm, volumes } from "./layouts.ts";
import { LoopMachine } from "./loop.ts";
import { describeState } from "./state.ts";

const suffix = `t${process.pid}`;
const sweepAll = process.env.MUSTER_SWEEP === "all";
const looking =
  /^(lsblk|blkid|udevadm|pvck|pvs|lvs|sfdisk --json|mdadm --(detail|examine)|cryptsetup (status|luksUUID))( |$)/;

/** How often each is cut off in a usual run. */
const sweeps: { layout: Layout; former: Layout; hangUps: number; kills: number }[] = [
  { layout: msdos, former: plain, hangUps: 100, kills: 3 },
  { layout: plain, former: msdos, hangUps: 4, kills: 3 },
  { layout: raid1Lvm, former: arrays, hangUps: 6, kills: 3 },
  { layout: arrays, former: raid1Lvm, hangUps: 4, kills: 2 },
  { layout: volumes, former: raid1Lvm, hangUps: 4, kills: 2 },
];

for (const { layout, former, hangUps, kills } of sweeps) {
  describe.runIf(kernelHas(...layout.needs, ...former.needs))(layout.name, () => {
    let commands: string[];
    let wanted: string[];
    let keeper: LoopMachine;

    // The disks as an older deployment has left them, to copy from; and the end of an apply that nobody disturbs.
    beforeAll(async () => {
      keeper = await LoopMachine.create();
      for (let index = 0; index < former.disks; index++) await keeper.addDisk(`D${index}`, former.sizeBytes);
      const older = keeper.context({ step: "older-1/n1/partition" });
      await createPartitionStep(keeper.options)(action(former), older);
      await keeper.detach();
      const undisturbed = await LoopMachine.create();
      try {
        await addDisks(undisturbed);
        commands = [];
        const run: Runner = (argv, options) => {
          commands.push(argv.join(" "));
          return undisturbed.run(argv, options);
        };
        await createPartitionStep(undisturbed.options)(action(layout), undisturbed.context({ run }));
        wanted = await describeState(undisturbed);
      } finally {
        await undisturbed.dispose();
      }
    });
    afterAll(() => keeper.dispose());

    async function addDisks(machine: LoopMachine): Promise<void> {
      for (let index = 0; index < layout.disks; index++) {
        const from = index < former.disks ? keeper.fileOf(`D${index}`, index) : undefined;
        await machine.addDisk(`D${index}`, layout.sizeBytes, from);
      }
    }

    /** With a disk that is in no plan. Its bytes are compared in the end. */
    async function interrupted(interrupt: (machine: LoopMachine) => Promise<void>): Promise<void> {
      const machine = await LoopMachine.create();
      try {
        await addDisks(machine);
        const foreign = await machine.addDisk("FOREIGN", 32 << 20);
        await machine.run(["mkfs.ext4", "-q", "-F", "-L", "foreign", foreign]);
        await machine.run(["sync", foreign]);
        const before = await digest(foreign);
        await interrupt(machine);
        const step = createPartitionStep(machine.options);
        expect(await step(action(layout), machine.context({ attempt: 2 }))).toContain("UUIDs: ");
        const own = machine.disks.slice(0, layout.disks);
        expect(await describeState(machine, own)).toEqual(wanted);
        expect(await digest(foreign)).toBe(before);
        // And once more: there is nothing left to do.
        expect(await step(action(layout), machine.context({ attempt: 3 }))).toMatch(/^unchanged, /);
        expect(await describeState(machine, own)).toEqual(wanted);
        expect(await digest(foreign)).toBe(before);
      } finally {
        await machine.dispose();
      }
    }

    /** Numbers of commands, spread evenly over those that write. */
    function cuts(count: number): number[] {
      const points = commands.flatMap((command, index) => (looking.test(command) ? [] : [index + 1]));
      expect(points.length).toBeGreaterThan(8);
      const every = sweepAll ? 1 : Math.max(1, Math.floor(points.length / count));
      // Not after the last: then it is not cut off.
      return points.slice(0, -1).filter((_, index) => index % every === every - 1);
    }

    async function sweep(count: number, cutOff: (machine: LoopMachine, after: number) => Promise<void>) {
      for (const after of cuts(count)) {
        await interrupted((machine) => cutOff(machine, after)).catch((error: unknown) => {
          throw new Error(`after command ${after}: ${commands[after - 1]}`, { cause: error });
        });
      }
    }

    test("finishes what hung up", { timeout: 1_800_000 }, () =>
      sweep(hangUps, async (machine, after) => {
        const context = machine.context({ run: hangingUp(machine.run, after) });
        await expect(createPartitionStep(machine.options)(action(layout), context)).rejects.toThrow(
          "hung up",
        );
      }),
    );

    test("finishes what was killed", { timeout: 3_600_000 }, () =>
      sweep(kills, (machine, after) => killedChild(machine, layout, after)),
    );
  });
}

function action(layout: Layout) {
  return create(PartitionStepSchema, { plan: layout.plan(suffix) });
}

/** After that many commands nothing runs any more, as in a process that is gone. */
function hangingUp(run: Runner, after: number): Runner {
  let done = 0;
  return async (argv, options) => {
    if (done >= after) throw new Error("hung up");
    done++;
    return run(argv, options);
  };
}

async function killedChild(machine: LoopMachine, layout: Layout, killAfter: number): Promise<void> {
  const { mountPoint } = machine.options;
  const disks = machine.disks.map((disk) => ({ ...disk, sizeBytes: String(disk.sizeBytes) }));
  const order: ChildOrder = { layout: layout.name, suffix, disks, mountPoint, killAfter };
  const program = join(import.meta.dirname, "apply-child.ts");
  const child = spawn(process.execPath, [program, JSON.stringify(order)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  expect(signal).toBe("SIGKILL");
}

async function digest(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece);
  return hash.digest("hex");
}
