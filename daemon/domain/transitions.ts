// What comes after a deployment that has ended: the next graph of its sequence, or the one that its own names.
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  type Deployment,
  Deployment_State,
  type Plan,
  Purpose,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Decision } from "./decision.ts";
import { startDeployment } from "./deploy.ts";
import { occupiedNodes } from "./occupied.ts";
import { type PlanOptions, planCluster } from "./plan.ts";
import type { PlanFault, Planned } from "./planned.ts";
import { notAskedFor } from "./selection.ts";
import type { State } from "./state.ts";
import { joinNode } from "./task-order.ts";
import { isProvisioning } from "./tasks.ts";

const { SUCCEEDED, FAILED, STOPPED } = Deployment_State;

/** To be called when a decision is made: what ends and what comes after it are stored together. */
export function startNextGraphs(decision: Decision): void {
  const begun = new Set<string>();
  // Grows while it is read: what has nothing to do ends as it begins.
  for (const name of decision.ended) {
    const ended = decision.state.deployments.get(name);
    const graphs = ended ? nextGraphs(decision.state, ended) : [];
    const [next] = graphs;
    if (!ended || next === undefined) continue;
    // Two that name each other, and have nothing to do, would never come to an end.
    const mark = `${ended.cluster}/${next}`;
    if (begun.has(mark)) continue;
    begun.add(mark);
    startNext(decision, ended, graphs);
  }
}

function nextGraphs(state: State, { name, cluster, plan, state: how }: Deployment): string[] {
  // Another deployment may have begun in the same moment.
  const newest = state.clusters.get(cluster)?.deployment;
  const isCheck = plan?.purpose === Purpose.CHECK;
  if (!plan || (newest !== name && !isCheck) || plan.purpose === Purpose.RELEASE) return [];
  if (how === SUCCEEDED && plan.sequence.length) return plan.sequence;
  const graph = isCheck ? undefined : state.graphs().get(plan.graph || "default");
  const named = new Map<Deployment_State, string | undefined>([
    [SUCCEEDED, graph?.onSuccess],
    [FAILED, graph?.onError],
    [STOPPED, graph?.onStop],
  ]).get(how);
  return named ? [named] : [];
}

function startNext(decision: Decision, ended: Deployment, graphs: string[]): void {
  const { state } = decision;
  const [graph] = graphs;
  const cluster = state.clusters.get(ended.cluster);
  if (!cluster) return;
  const subject = `deployment/${ended.name}`;
  const nodes = askedNodes(ended.plan);
  const planned = plan(state, cluster, { graphs, nodes, purpose: ended.plan?.purpose });
  const faults = "faults" in planned ? planned.faults : obstacles(state, planned.plan.nodes, cluster.name);
  if ("faults" in planned || faults.length) {
    const message = `graph ${graph} was to follow, and cannot be started: ${faults.map(told).join("; ")}`;
    decision.event(Event_Severity.ERROR, subject, "NEXT_GRAPH_NOT_STARTED", message);
    return;
  }
  const { name } = startDeployment(decision, cluster, planned.plan);
  decision.event(Event_Severity.INFO, subject, "NEXT_GRAPH_STARTED", `graph ${graph} follows: ${name}`);
}

/** Where only some nodes were asked for, no others come in afterwards. Empty is all. */
function askedNodes(ended: Plan | undefined): string[] {
  const tasks = (ended?.steps ?? []).filter(({ node, task }) => node !== joinNode && !isProvisioning(task));
  const asked = tasks.filter(({ skippedBecause }) => skippedBecause !== notAskedFor);
  return asked.length === tasks.length ? [] : [...new Set(asked.map(({ node }) => node))];
}

/** What has ended is half decided: a planner that throws here would take the daemon with it, and again at every start. */
function plan(state: State, cluster: Cluster, options: PlanOptions): Planned {
  try {
    return planCluster(state, cluster, options);
  } catch (error) {
    return { faults: [{ node: "", message: `it cannot be planned: ${error}` }] };
  }
}

function obstacles(state: State, nodes: { node: string }[], cluster: string): PlanFault[] {
  return occupiedNodes(
    state,
    cluster,
    nodes.map(({ node }) => node),
  );
}

function told({ node, message }: PlanFault): string {
  return node ? `${node}: ${message}` : message;
}
