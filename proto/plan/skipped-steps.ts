// The steps that a deployment leaves out because they have been done. They follow from its plan, so they are
// neither stored nor watched: of a big cluster there may be tens of thousands.
import { create } from "@bufbuild/protobuf";
import { type Deployment, type Step, Step_State, StepSchema } from "../gen/muster/v1/deployment_pb.ts";

export function skippedSteps({ name: deployment, plan }: Deployment): Step[] {
  const skipped = plan?.steps.filter(({ unchangedSince }) => unchangedSince) ?? [];
  return skipped.map(({ node, task, unchangedSince }) =>
    create(StepSchema, {
      name: `${deployment}/${node}/${task}`,
      deployment,
      node,
      task,
      state: Step_State.SKIPPED,
      reason: `unchanged since ${unchangedSince}`,
    }),
  );
}
