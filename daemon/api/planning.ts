// From what an operator asks for to a plan, or to all that stands against it.
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { type Plan, Purpose, type Scope } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { EraseMode } from "../../proto/gen/muster/v1/erase_pb.ts";
import type { RpcError } from "../../proto/rpc/status.ts";
import { type PlanOptions, planCluster } from "../domain/plan.ts";
import type { PlanFault, Planned } from "../domain/planned.ts";
import type { State } from "../domain/state.ts";
import { notFound, refused } from "./context.ts";

/** The last plan that was made from a state: an operator who has seen one mostly agrees to it. */
const lastPlans = new WeakMap<State, { version: number; wanted: string; planned: Planned }>();

type Wanted = {
  cluster: string;
  scope: Scope;
  purpose: Purpose;
  nodes: string[];
  erase: EraseMode;
  skip: string[];
};

export function resolve(
  state: State,
  { cluster: name, scope, purpose, nodes, erase, skip }: Wanted,
): {
  cluster: Cluster;
  plan: Plan;
} {
  const cluster = state.clusters.get(name);
  if (!cluster) throw notFound("cluster", name);
  const planned = planOnce(state, cluster, { scope, purpose, nodes, erase, skip });
  if ("plan" in planned) return { cluster, plan: planned.plan };
  const what = purpose === Purpose.RELEASE ? "released" : "deployed";
  throw faulty("CANNOT_PLAN", `cluster ${name} cannot be ${what} as it is`, planned.faults);
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
