// The steps that a deployment leaves out from the beginning, because they have been done or are not wanted. They
// follow from its plan, so they are neither stored nor watched: of a big cluster there may be tens of thousands.
import { create } from "@bufbuild/protobuf";
import {
  type Deployment,
  type PlannedStep,
  type Step,
  Step_State,
  StepSchema,
} from "../gen/muster/v1/deployment_pb.ts";

export function isLeftOut({ unchangedSince, skippedBecause }: PlannedStep): boolean {
  return unchangedSince !== "" || skippedBecause !== "";
}

export function skippedSteps({ name: deployment, plan }: Deployment): Step[] {
  const skipped = plan?.steps.filter(isLeftOut) ?? [];
  return skipped.map(({ node, task, unchangedSince, skippedBecause }) =>
    create(StepSchema, {
      name: `${deployment}/${node}/${task}`,
      deployment,
      node,
      task,
      state: Step_State.SKIPPED,
      reason: unchangedSince ? `unchanged since ${unchangedSince}` : skippedBecause,
    }),
  );
}
