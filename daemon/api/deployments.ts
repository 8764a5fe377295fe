// DeploymentService.
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  type Deployment,
  Deployment_State,
  type DeploymentService,
  type Plan,
  type Step,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Decision } from "../domain/decision.ts";
import { isRunning, retryDeployment, startDeployment, stopDeployment } from "../domain/deploy.ts";
import { occupiedNodes, takenNodes } from "../domain/occupied.ts";
import { type PlanFault, planCluster } from "../domain/plan.ts";
import type { State } from "../domain/state.ts";
import { type ApiContext, byName, notFound, refused } from "./context.ts";

export function deploymentService(context: ApiContext): Handlers<typeof DeploymentService> {
  const { engine, store, progress } = context;
  return {
    planCluster: async ({ cluster }) => ({ plan: resolve(engine.state, findCluster(engine.state, cluster)) }),
    startDeployment: async ({ cluster: name, planHash }) =>
      engine.decide((decision) => ({ deployment: start(decision, name, planHash) })),
    retryDeployment: async ({ name }) =>
      engine.decide((decision) => {
        const deployment = findDeployment(decision.state, name);
        if (isRunning(deployment)) throw stillRunning(deployment);
        if (decision.state.clusters.get(deployment.cluster)?.deployment !== deployment.name) {
          throw refused(
            "NOT_NEWEST",
            `${deployment.name} is not the newest deployment of ${deployment.cluster}: retry that, or deploy again`,
          );
        }
        const taken = takenNodes(decision.state, deployment);
        if (taken.length) throw faulty("NODE_BUSY", `${deployment.name} cannot go on`, taken);
        const steps = retryDeployment(decision, deployment);
        if (!steps && !isRunning(findDeployment(decision.state, deployment.name))) {
          throw refused("NOTHING_TO_RETRY", `every step of ${deployment.name} has succeeded`);
        }
        return { deployment: findDeployment(decision.state, deployment.name), steps };
      }),
    stopDeployment: async ({ name }) =>
      engine.decide((decision) => {
        const deployment = findDeployment(decision.state, name);
        if (!isRunning(deployment)) throw refused("NOT_RUNNING", `${deployment.name} has ended already`);
        stopDeployment(decision, deployment);
        return { deployment: findDeployment(decision.state, deployment.name) };
      }),
    listDeployments: async () => ({
      deployments: byName(engine.state.deployments.values()),
      revision: store.revision,
    }),
    getDeployment: async ({ name }) => {
      const deployment = findDeployment(engine.state, name);
      const withProgress = (step: Step) => ({ ...step, progress: progress.get(step.name) ?? step.progress });
      return { deployment, steps: engine.state.steps(deployment.name).map(withProgress) };
    },
  };
}

function start(decision: Decision, name: string, planHash: string) {
  const { state } = decision;
  const cluster = findCluster(state, name);
  const last = state.deployments.get(cluster.deployment);
  if (last && isRunning(last)) throw stillRunning(last);
  const plan = resolve(state, cluster);
  if (plan.hash !== planHash) {
    const message = `the plan of ${name} has changed since ${planHash.slice(0, 12)}: look at it again`;
    throw new RpcError(codes.ABORTED, message, {
      reason: "PLAN_CHANGED",
      metadata: { plan_hash: plan.hash },
    });
  }
  const nodes = plan.nodes.map(({ node }) => node);
  const occupied = occupiedNodes(state, name, nodes);
  if (occupied.length) throw faulty("NODE_BUSY", `cluster ${name} cannot be deployed now`, occupied);
  return startDeployment(decision, cluster, plan);
}

function stillRunning({ name, state }: Deployment): RpcError {
  const message =
    state === Deployment_State.STOPPING
      ? `${name} is stopping: its running steps must end first, wait for it`
      : `${name} is still running: wait for it or stop it`;
  return refused("RUNNING", message);
}

function resolve(state: State, cluster: Cluster): Plan {
  const planned = planCluster(state, cluster);
  if ("plan" in planned) return planned.plan;
  throw faulty("CANNOT_PLAN", `cluster ${cluster.name} cannot be deployed as it is`, planned.faults);
}

/** One violation per fault; what is about no single node has no subject. */
function faulty(reason: string, message: string, faults: PlanFault[]): RpcError {
  const violations = faults.map(({ node, message }) => ({
    type: "PLAN",
    subject: node,
    description: message,
  }));
  return refused(reason, message, violations);
}

function findCluster(state: State, name: string): Cluster {
  const cluster = state.clusters.get(name);
  if (!cluster) throw notFound("cluster", name);
  return cluster;
}

function findDeployment(state: State, name: string) {
  const deployment = state.deployment(name);
  if (!deployment) throw notFound("deployment", name);
  return deployment;
}
