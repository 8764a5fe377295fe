// Step `wipe`: erases the disks that it names, and looks at no other. What it leaves behind, no kernel, firmware or
// installer takes for anything but an empty disk.
import { create } from "@bufbuild/protobuf";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { EraseMode } from "../../proto/gen/muster/v1/erase_pb.ts";
import type { Step } from "../step.ts";
import { machineStorage, type StorageOptions } from "../storage/activate.ts";
import { matchDisks } from "../storage/disks.ts";
import { eraseDisks } from "../storage/erase.ts";
import { unmountAll } from "../storage/mounts.ts";

export const wipe = createWipeStep();

export function createWipeStep(options: StorageOptions = machineStorage): Step<"wipe"> {
  return async ({ disks: planned, mode, skip, protectedDisks }, context) => {
    if (planned.length === 0) {
      throw new Error(
        "the step names no disk to wipe. Take the inventory of the node again, and plan again.",
      );
    }
    await unmountAll(options.mountPoint, context);
    const plan = create(DiskPlanSchema, { disks: planned });
    const machine = await options.findDisks(context.run, context.signal);
    // All disks are found before any is touched.
    const disks = [...matchDisks(plan, machine).values()];
    // A daemon that knows no modes means this one.
    const wanted = mode || EraseMode.METADATA;
    const erasures = await eraseDisks(disks, { mode: wanted, skip, protectedDisks, machine }, context);
    await context.run(["sync"], { signal: context.signal });
    const how = wanted === EraseMode.FULL ? "erased in full" : "wiped";
    const names = erasures.map(({ name, serial, wwn, method }) =>
      wanted === EraseMode.FULL ? `${name} (${serial || wwn}) by ${method}` : `${name} (${serial || wwn})`,
    );
    return `${erasures.length} ${erasures.length === 1 ? "disk" : "disks"} ${how}: ${names.join(", ")}`;
  };
}
