// What the parts of the disk planner share while a plan is made: the names and sizes of devices, what is kept,
// the plan so far, and the reasons why there can be none.
import { create } from "@bufbuild/protobuf";
import { type DiskPlan, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { DeviceNames } from "./device-names.ts";
import type { Keeps } from "./keeps.ts";

export class Planning {
  readonly plan: DiskPlan = create(DiskPlanSchema);
  /** Sizes of devices, by their names in the plan. */
  readonly sizes = new Map<string, bigint>();
  /** Stripes of arrays, by their names in the plan. */
  readonly stripes = new Map<string, bigint>();
  readonly messages: string[] = [];
  readonly names: DeviceNames;
  readonly kept: Keeps;
  readonly memory: bigint;

  constructor(names: DeviceNames, kept: Keeps, memory: bigint) {
    this.names = names;
    this.kept = kept;
    this.memory = memory;
  }

  refuse(message: string): void {
    this.messages.push(message);
  }

  warn(message: string): void {
    this.plan.warnings.push(message);
  }
}
