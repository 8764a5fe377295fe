// Starts a deployment: the plan that the operator has agreed to becomes steps.
import { create } from "@bufbuild/protobuf";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  type Deployment,
  Deployment_State,
  DeploymentSchema,
  type Plan,
  type PlannedStep,
  Purpose,
  Step_State,
  StepSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Decision } from "./decision.ts";
import { planIndex } from "./plan-index.ts";
import { schedule } from "./schedule.ts";
import { put, type State } from "./state.ts";

/** How much of a cluster's past is remembered, with attempts and logs: so many deployments, and so many steps. */
const remembered = { deployments: 50, steps: 200_000 };

/** Stores the plan as a deployment and starts its first steps. `holds`: see heldIds(). */
export function startDeployment(
  decision: Decision,
  cluster: Cluster,
  plan: Plan,
  holds: readonly string[] = [],
): Deployment {
  const name = nextName(decision.state, cluster);
  const deployment = create(DeploymentSchema, {
    name,
    cluster: cluster.name,
    state: Deployment_State.RUNNING,
    plan,
    startTime: decision.now,
  });
  forgetOldest(decision, cluster.name);
  decision.change(put({ case: "deployment", value: deployment }));
  decision.change(put({ case: "cluster", value: { ...cluster, deployment: name } }));
  const held = new Set(selectSteps(plan, holds).ids);
  for (const planned of plan.steps) {
    if (!planned.unchangedSince) putStep(decision, name, planned, held.has(planned.id));
  }
  decision.state.orderSteps(name);
  reserveNodes(decision, deployment);
  const nodeCount = plan.nodes.length === 1 ? "1 node" : `${plan.nodes.length} nodes`;
  const message = `${nodeCount}, ${plan.steps.length} steps, plan ${plan.hash.slice(0, 12)}`;
  decision.event(Event_Severity.INFO, `deployment/${name}`, "DEPLOYMENT_STARTED", message);
  decision.stir(name, planIndex(plan).steps.keys());
  schedule(decision);
  return deployment;
}

function putStep(decision: Decision, deployment: string, planned: PlannedStep, held: boolean): void {
  const { node, task, retries } = planned;
  const step = create(StepSchema, {
    name: `${deployment}/${node}/${task}`,
    deployment,
    node,
    task,
    state: Step_State.PENDING,
    hold: held || planned.hold,
    retriesLeft: retries,
  });
  decision.change(put({ case: "step", value: step }));
}

/** A node with nothing to do stays as it is. */
function reserveNodes(decision: Decision, { name, cluster, plan }: Deployment): void {
  for (const { node: nodeName, role, hostname } of plan?.nodes ?? []) {
    const node = decision.state.nodes.get(nodeName);
    const steps = [...decision.state.stepBook(name).ofNode(nodeName).values()];
    if (!node || steps.every(({ state }) => state === Step_State.SKIPPED)) continue;
    const releases = plan?.purpose === Purpose.RELEASE;
    const place = releases ? {} : { cluster, role, hostname };
    decision.node(node, { ...place, reason: "" }, "reserved");
  }
}

/** The steps that words like `n1/image`, or `image` for that of every node, name; and the words that name none. */
export function selectSteps(
  plan: Plan | undefined,
  words: readonly string[],
): { ids: string[]; unknown: string[] } {
  const steps = plan?.steps ?? [];
  const found = words.map((word) => steps.filter(({ id, task }) => id === word || task === word));
  return {
    ids: [...new Set(found.flat().map(({ id }) => id))],
    unknown: words.filter((_, index) => found[index]?.length === 0),
  };
}

/** `demo-4` after `demo-3`, also when demo-3 is forgotten. */
function nextName(state: State, { name, deployment }: Cluster): string {
  const own = [...state.deployments.values()].filter(({ cluster }) => cluster === name);
  const numbers = [deployment, ...own.map((other) => other.name)].map((other) =>
    Number(other.slice(other.lastIndexOf("-") + 1)),
  );
  return `${name}-${Math.max(0, ...numbers) + 1}`;
}

/** Makes room for one more; the one before it is kept, however big it is. */
function forgetOldest(decision: Decision, cluster: string): void {
  const own = [...decision.state.deployments.values()].filter((other) => other.cluster === cluster);
  const newestFirst = own.sort((a, b) => numberOf(b) - numberOf(a));
  let steps = 0;
  newestFirst.forEach((deployment, index) => {
    steps += deployment.plan?.steps.length ?? 0;
    const fits = index < remembered.deployments - 1 && steps <= remembered.steps;
    if (index > 0 && !fits) forgetDeployment(decision, deployment);
  });
}

function numberOf({ name }: Deployment): number {
  return Number(name.slice(name.lastIndexOf("-") + 1));
}

/** Removes a deployment with its steps, attempts and logs. */
export function forgetDeployment(decision: Decision, { name }: Deployment): void {
  for (const step of decision.state.steps(name)) {
    if (step.state !== Step_State.SKIPPED) decision.change({ delete: `step/${step.name}` });
  }
  decision.change({ delete: `deployment/${name}` });
  decision.effect({ do: "removeLogs", deployment: name });
}
