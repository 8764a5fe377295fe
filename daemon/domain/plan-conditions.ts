// Decides the conditions that need nothing but what a plan knows; the others go along with their steps.
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { evaluate, readsOwnNode, readsRuntime } from "./conditions.ts";
import { leaveOut } from "./left-out.ts";
import type { PlanFault } from "./planned.ts";
import type { State } from "./state.ts";
import type { Place } from "./task-spread.ts";
import { staticValues } from "./values.ts";

/** Leaves out the steps whose condition is false. */
export function decideConditions(
  state: State,
  cluster: Cluster,
  steps: readonly PlannedStep[],
  tasks: ReadonlyMap<string, TaskSpec>,
  places: readonly Place[],
): PlanFault[] {
  const placeOf = new Map(places.map((place) => [place.node, place]));
  // Most conditions are the same everywhere: one look is enough.
  const everywhere = new Map<string, ReturnType<typeof evaluate>>();
  const faults: PlanFault[] = [];
  for (const step of steps) {
    const task = tasks.get(step.task);
    const place = placeOf.get(step.node);
    if (!task?.condition || !place || isLeftOut(step)) continue;
    if (readsRuntime(task.condition)) {
      step.condition = task.condition;
      continue;
    }
    const result =
      everywhere.get(task.name) ??
      evaluate(task.condition, staticValues(state, cluster, place, task.parameters));
    if (!readsOwnNode(task.condition)) everywhere.set(task.name, result);
    if ("fault" in result) {
      faults.push({
        node: step.node,
        message: `task ${task.name}: condition \`${task.condition}\`: ${result.fault}`,
      });
    } else if (!result.value) {
      leaveOut(step, `its condition is false: ${task.condition}`);
    }
  }
  return faults;
}
