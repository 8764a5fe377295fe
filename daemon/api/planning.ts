// From what an operator asks for to a plan, or to all that stands against it.
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { type Plan, type PlanClusterRequest, Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { RpcError } from "../../proto/rpc/status.ts";
import { type PlanOptions, planCluster } from "../domain/plan.ts";
import type { PlanFault, Planned } from "../domain/planned.ts";
import type { State } from "../domain/state.ts";
import { notFound, refused } from "./context.ts";

/** The last plan that was made from a state: an operator who has seen one mostly agrees to it. */
const lastPlans = new WeakMap<State, { version: number; wanted: string; planned: Planned }>();

type Wanted = Pick<
  PlanClusterRequest,
  | "cluster"
  | "scope"
  | "purpose"
  | "nodes"
  | "erase"
  | "skip"
  | "graphs"
  | "tasks"
  | "from"
  | "until"
  | "failed"
>;

export function resolve(state: State, wanted: Wanted): { cluster: Cluster; plan: Plan } {
  const { cluster: name, scope, purpose, nodes, erase, skip, graphs, tasks, from, until, failed } = wanted;
  const cluster = state.clusters.get(name);
  if (!cluster) throw notFound("cluster", name);
  const options = { scope, purpose, nodes, erase, skip, graphs, tasks, from, until, failed };
  const planned = planOnce(state, cluster, options);
  if ("plan" in planned) return { cluster, plan: planned.plan };
  throw faulty("CANNOT_PLAN", `cluster ${name} cannot be ${participle(purpose)} as it is`, planned.faults);
}

function participle(purpose: Purpose): string {
  if (purpose === Purpose.RELEASE) return "released";
  return purpose === Purpose.CHECK ? "checked" : "deployed";
}

function planOnce(state: State, cluster: Cluster, options: PlanOptions): Planned {
  const wanted = JSON.stringify([cluster.name, options]);
  const last = lastPlans.get(state);
  if (last?.version === state.version && last.wanted === wanted) return last.planned;
  const planned = planCluster(state, cluster, options);
  lastPlans.set(state, { version: state.version, wanted, planned });
  return planned;
}

/** One violation per fault; what is about no single node has no subject. */
export function faulty(reason: string, message: string, faults: PlanFault[]): RpcError {
  const violations = faults.map(({ node, message }) => ({
    type: "PLAN",
    subject: node,
    description: message,
  }));
  return refused(reason, message, violations);
}
