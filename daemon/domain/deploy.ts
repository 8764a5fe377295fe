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
  type Step,
  Step_State,
  StepSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { changesNodes } from "./attempt.ts";
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
    purpose: plan.purpose,
    graph: plan.graph,
    startTime: decision.now,
  });
  forgetOldest(decision, cluster.name);
  decision.change(put({ case: "deployment", value: deployment }));
  decision.change(put({ case: "cluster", value: { ...cluster, deployment: name } }));
  const held = new Set(selectSteps(plan, holds).ids);
  for (const planned of plan.steps) {
    // What only looks needs nobody's go.
    const hold = held.has(planned.id) || (planned.hold && changesNodes(plan));
    if (!isLeftOut(planned)) putStep(decision, name, planned, hold);
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

/** Has every field, also those that come later: what all have alike is copied faster, with every change of a step. */
const unbegun: Step = {
  ...create(StepSchema, { state: Step_State.PENDING }),
  startTime: undefined,
  endTime: undefined,
  deadlineTime: undefined,
  nextAttemptTime: undefined,
  waitTime: undefined,
  progress: undefined,
  facts: undefined,
};

function putStep(decision: Decision, deployment: string, planned: PlannedStep, hold: boolean): void {
  const { id, node, task, retries: retriesLeft } = planned;
  decision.step(unbegun, { name: `${deployment}/${id}`, deployment, node, task, hold, retriesLeft });
}

/** A node with nothing to do stays as it is. */
function reserveNodes(decision: Decision, { name, cluster, plan }: Deployment): void {
  if (!changesNodes(plan)) return;
  for (const { node: nodeName, role, hostname } of plan?.nodes ?? []) {
    const node = decision.state.nodes.get(nodeName);
    if (!node || decision.state.stepBook(name).openOf(nodeName) === 0) continue;
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

/** Makes room for one more. What the cluster is now, and what is on the disks of its nodes, is kept however big it is. */
function forgetOldest(decision: Decision, cluster: string): void {
  const own = [...decision.state.deployments.values()].filter((other) => other.cluster === cluster);
  const newest = decision.state.clusters.get(cluster)?.deployment;
  const described = new Set<string>();
  let steps = 0;
  own
    .sort((a, b) => numberOf(b) - numberOf(a))
    .forEach((deployment, index) => {
      steps += deployment.plan?.steps.length ?? 0;
      const fits = index === 0 || (index < remembered.deployments - 1 && steps <= remembered.steps);
      const isNeeded = deployment.name === newest || describesDisks(deployment, described);
      if (!fits && !isNeeded) forgetDeployment(decision, deployment);
    });
}

/** It is the newest that says what is on the disks of some node. `described`: the nodes of newer ones; grows. */
function describesDisks({ plan }: Deployment, described: Set<string>): boolean {
  if (plan?.purpose === Purpose.RELEASE) return false;
  const before = described.size;
  for (const { node, disks } of plan?.nodes ?? []) if (disks) described.add(node);
  return described.size > before;
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
