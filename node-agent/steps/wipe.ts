// Step `wipe`: removes everything from the disks that it names, and looks at no other. What it leaves behind, no
// kernel, firmware or installer takes for anything but an empty disk.
import { create } from "@bufbuild/protobuf";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Step } from "../step.ts";
import { machineStorage, type StorageOptions } from "../storage/activate.ts";
import { matchDisks } from "../storage/disks.ts";
import { refuseShared, verifyEmpty } from "../storage/empty.ts";
import { unmountAll } from "../storage/mounts.ts";
import { wipeDisk } from "../storage/release.ts";
import { settle } from "../storage/wait.ts";

export const wipe = createWipeStep();

export function createWipeStep(options: StorageOptions = machineStorage): Step<"wipe"> {
  return async ({ disks: planned }, context) => {
    if (planned.length === 0) {
      throw new Error(
        "the step names no disk to wipe. Take the inventory of the node again, and plan again.",
      );
    }
    await unmountAll(options.mountPoint, context);
    const plan = create(DiskPlanSchema, { disks: planned });
    // All disks are found before any is touched.
    const matched = matchDisks(plan, await options.findDisks(context.run, context.signal));
    const disks = [...matched.values()];
    await refuseShared(
      disks.map(({ path }) => path),
      context,
    );
    for (const { path } of disks) {
      context.progress({ activity: `wiping ${path}` });
      await wipeDisk(path, context);
      // Partition by partition, for kernels that do not read the table anew. Code 1: none was left.
      await context.run(["partx", "--delete", path], { signal: context.signal, okCodes: [0, 1] });
    }
    await settle(context);
    // Only when all are wiped: an array on two of them is gone when both are.
    for (const { path } of disks) await verifyEmpty(path, context);
    await context.run(["sync"], { signal: context.signal });
    const names = disks.map(({ path, serial, wwn }) => `${path} (${serial || wwn})`);
    return `${disks.length} ${disks.length === 1 ? "disk" : "disks"} wiped: ${names.join(", ")}`;
  };
}
