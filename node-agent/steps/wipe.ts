// Step `wipe`: removes everything from the disks that it names, and looks at no other. What it leaves behind, no
// kernel, firmware or installer takes for anything but an empty disk.
import { create } from "@bufbuild/protobuf";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Step } from "../step.ts";
import { machineStorage, type StorageOptions } from "../storage/activate.ts";
import { matchDisks } from "../storage/disks.ts";
import { eraseDisks } from "../storage/erase.ts";
import { unmountAll } from "../storage/mounts.ts";

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
    context.progress({ activity: `wiping ${disks.map(({ path }) => path).join(", ")}` });
    await eraseDisks(disks, { mode: "metadata", skip: [], protectedDisks: [] }, context);
    await context.run(["sync"], { signal: context.signal });
    const names = disks.map(({ path, serial, wwn }) => `${path} (${serial || wwn})`);
    return `${disks.length} ${disks.length === 1 ? "disk" : "disks"} wiped: ${names.join(", ")}`;
  };
}
