// The tasks of graph `deletion`: what nodes do before they are released.
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { isInstalled } from "./installed.ts";
import { leaveOut } from "./left-out.ts";
import { decideConditions } from "./plan-conditions.ts";
import type { PlanFault } from "./planned.ts";
import { taskSecretFaults } from "./secret-use.ts";
import type { State } from "./state.ts";
import { orderTasks } from "./task-order.ts";
import { deletionGraph, type Place, spreadTasks } from "./task-spread.ts";
import { taskSteps } from "./task-steps.ts";
import { TaskWords } from "./task-words.ts";

export type Deletion = { steps: PlannedStep[]; faults: PlanFault[] };

/** Their steps, in no order yet. A node that is not there leaves without: its disks can be erased all the same. */
export function deletionSteps(state: State, cluster: Cluster, nodes: readonly string[]): Deletion {
  const tasks = state.tasks();
  const words = new TaskWords(tasks);
  const places = placesOf(state, cluster, nodes);
  const spreads = spreadTasks(tasks, deletionGraph, places);
  const order = orderTasks(spreads, words, places);
  const steps = taskSteps(state, cluster, spreads, order, () => []);
  for (const step of steps) {
    const node = state.nodes.get(step.node);
    if (!node) continue;
    const isThere = node.online && node.environment === Environment.INSTALLED;
    if (!isThere || !isInstalled(state, cluster.name, node.name)) {
      leaveOut(step, `${node.name} does not run from its own disks now`);
    }
  }
  const byName = new Map(spreads.map(({ task }) => [task.name, task]));
  const faults = decideConditions(state, cluster, steps, byName, places);
  faults.push(...taskSecretFaults(state, steps));
  return { steps, faults };
}

/** What a node of the plan has to have done before its disks are erased. */
export function lastSteps(steps: readonly PlannedStep[], node: string): string[] {
  return steps.filter((step) => step.node === node && !isLeftOut(step)).map(({ id }) => id);
}

/** In the order of the cluster's manifest; a node that it no longer has comes after these, as it was deployed. */
function placesOf(state: State, cluster: Cluster, nodes: readonly string[]): Place[] {
  const wanted = new Set(nodes);
  const listed = (cluster.spec?.nodes ?? []).filter(({ node }) => wanted.has(node));
  const rest = nodes.filter((name) => !listed.some(({ node }) => node === name));
  const former = rest.flatMap((name) => {
    const node = state.nodes.get(name);
    return node ? [{ node: name, role: node.role, hostname: node.hostname }] : [];
  });
  return [...listed, ...former];
}
