// Whether a step whose turn has come is to be done at all: its condition, and what it refreshes on.
import type { Deployment, PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { evaluate } from "./conditions.ts";
import type { State } from "./state.ts";
import { valuesOf } from "./values.ts";

/** `skip`: why it need not be done. `fault`: why nobody can tell. */
export type Need = "do" | { skip: string } | { fault: string };

export function needOf(state: State, deployment: Deployment, planned: PlannedStep): Need {
  const { condition, refreshOn } = planned;
  const hasChanged = (id: string) => state.step(`${deployment.name}/${id}`)?.outcome === TaskOutcome.CHANGED;
  if (refreshOn.length && !refreshOn.some(hasChanged)) {
    return { skip: `done before, and nothing has changed in ${refreshOn.map(taskOf).join(", ")}` };
  }
  if (!condition) return "do";
  const held = evaluate(condition, valuesOf(state, deployment, planned));
  if ("fault" in held) return { fault: `its condition \`${condition}\` cannot be evaluated: ${held.fault}` };
  return held.value ? "do" : { skip: `its condition is false: ${condition}` };
}

function taskOf(id: string): string {
  return id.slice(id.indexOf("/") + 1);
}
