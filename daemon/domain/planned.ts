// What every kind of plan is made of: steps with the digest of their action, and a hash over all.
import { createHash } from "node:crypto";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { DurationSchema } from "@bufbuild/protobuf/wkt";
import {
  type Plan,
  type PlannedStep,
  PlannedStepSchema,
  PlanSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { type StepAction, StepActionSchema } from "../../proto/gen/muster/v1/step_pb.ts";

/** `node` is empty for a fault of no single node. */
export type PlanFault = { node: string; message: string };
export type Planned = { plan: Plan } | { faults: PlanFault[] };

type StepInit = {
  node: string;
  task: string;
  requires?: string[];
  action: MessageInitShape<typeof StepActionSchema>;
  timeout: MessageInitShape<typeof DurationSchema>;
  retries?: number;
  hold?: boolean;
};

export function planStep(init: StepInit): PlannedStep {
  const step = create(PlannedStepSchema, { ...init, id: `${init.node}/${init.task}` });
  step.digest = digestOf(step.action);
  return step;
}

/** Adds the hash: the same state gives the same one. */
export function sealPlan(init: Pick<Plan, "cluster" | "purpose" | "nodes" | "steps">): Plan {
  const plan = create(PlanSchema, init);
  plan.hash = createHash("sha256").update(toBinary(PlanSchema, plan)).digest("hex");
  return plan;
}

/** What the disks hold now, and how the kernel called them last, is for people: the work is the same without. */
function digestOf(action: StepAction | undefined): string {
  const kind = action?.kind;
  let plain = action ?? create(StepActionSchema);
  if (action && kind?.value && "plan" in kind.value && kind.value.plan) {
    const value = { ...kind.value, plan: withoutNotes(kind.value.plan) };
    plain = { ...action, kind: { ...kind, value } as StepAction["kind"] };
  }
  return createHash("sha256").update(toBinary(StepActionSchema, plain)).digest("hex");
}

function withoutNotes(plan: DiskPlan): DiskPlan {
  const disks = plan.disks.map((disk) => ({ ...disk, destroys: [], keeps: [], before: [], lastName: "" }));
  return { ...plan, disks, warnings: [] };
}
