// What every kind of plan is made of: steps with the digest of their action, and a hash over all.
import { createHash } from "node:crypto";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  type Plan,
  type PlannedStep,
  PlannedStepSchema,
  PlanSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import {
  type StepAction,
  StepActionSchema,
  type StepInputs,
  StepInputsSchema,
} from "../../proto/gen/muster/v1/step_pb.ts";

/** `node` is empty for a fault of no single node. */
export type PlanFault = { node: string; message: string };
export type Planned = { plan: Plan } | { faults: PlanFault[] };

type StepInit = Omit<MessageInitShape<typeof PlannedStepSchema>, "$typeName" | "id"> & {
  node: string;
  task: string;
};

/** `digest`: that of its action, if it is known already. */
export function planStep(init: StepInit): PlannedStep {
  const step = create(PlannedStepSchema, { ...init, id: `${init.node}/${init.task}` });
  if (!step.digest) step.digest = digestOf(step.action, step.inputs);
  return step;
}

type PlanInit = Pick<Plan, "cluster" | "purpose" | "nodes" | "steps"> &
  Partial<Pick<Plan, "graph" | "sequence" | "tolerances">>;

/** Adds the hash: the same state gives the same one. */
export function sealPlan(init: PlanInit): Plan {
  const { steps, ...head } = init;
  const hash = createHash("sha256").update(toBinary(PlanSchema, create(PlanSchema, head)));
  // One after the other: as a whole, the bytes of a big plan would take more memory than the plan.
  for (const step of steps) hash.update(traceOf(step));
  const plan = create(PlanSchema, init);
  plan.hash = hash.digest("hex");
  return plan;
}

/**
 * A text that is another one if anything in the step is another. The digest stands for the action and its inputs,
 * except where these say more than what is done: see digestOf().
 */
function traceOf(step: PlannedStep): string {
  const { requires, action, inputs, timeout, interval, refreshOn, $typeName, $unknown, ...plain } = step;
  const kind = action?.kind.value;
  const noted = action && kind && "plan" in kind ? toBinary(StepActionSchema, action) : new Uint8Array();
  return JSON.stringify([
    plain,
    requires,
    refreshOn,
    [action?.kind.case, inputs?.reads],
    [lengthOf(timeout), lengthOf(interval)],
    Buffer.from(noted).toString("base64"),
  ]);
}

function lengthOf(duration: Duration | undefined): string {
  return duration ? `${duration.seconds}.${duration.nanos}` : "";
}

/** What the disks hold now, and how the kernel called them last, is for people: the work is the same without. */
export function digestOf(action: StepAction | undefined, inputs?: StepInputs): string {
  const kind = action?.kind;
  let plain = action ?? create(StepActionSchema);
  if (action && kind?.value && "plan" in kind.value && kind.value.plan) {
    const value = { ...kind.value, plan: withoutNotes(kind.value.plan) };
    plain = { ...action, kind: { ...kind, value } as StepAction["kind"] };
  }
  const hash = createHash("sha256").update(toBinary(StepActionSchema, plain));
  if (inputs) hash.update(toBinary(StepInputsSchema, inputs));
  return hash.digest("hex");
}

function withoutNotes(plan: DiskPlan): DiskPlan {
  const disks = plan.disks.map((disk) => ({ ...disk, destroys: [], keeps: [], before: [], lastName: "" }));
  return { ...plan, disks, warnings: [] };
}
