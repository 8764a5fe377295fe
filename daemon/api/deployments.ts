// DeploymentService: plans, and the verbs that start and steer a deployment. What reads is in history.ts.
import {
  type Deployment,
  Deployment_State,
  DeploymentService,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import {
  continueSteps,
  holdSteps,
  resumeDeployment,
  retryDeployment,
  stopDeployment,
} from "../domain/control.ts";
import type { Decision } from "../domain/decision.ts";
import { selectSteps, startDeployment } from "../domain/deploy.ts";
import { occupiedNodes, takenNodes } from "../domain/occupied.ts";
import { isRunning } from "../domain/schedule.ts";
import { type ApiContext, checkEtag, notFound, refused } from "./context.ts";
import { findDeployment, historyHandlers, withoutPlan } from "./history.ts";
import { type Mutations, numberChanges } from "./mutations.ts";
import { faulty, resolve } from "./planning.ts";

export function deploymentService(
  context: ApiContext,
  mutations: Mutations,
): Handlers<typeof DeploymentService> {
  const { method } = DeploymentService;
  return {
    ...historyHandlers(context),
    planCluster: async (request) => ({ plan: resolve(context.engine.state, request).plan }),
    startDeployment: (request) =>
      mutations.decide(method.startDeployment, request, (decision) => {
        const { state } = decision;
        const { cluster, plan } = resolve(state, request);
        const last = state.deployments.get(cluster.deployment);
        if (last && isRunning(last)) throw stillRunning(last);
        if (plan.hash !== request.planHash) {
          const message = `the plan of ${cluster.name} is not ${request.planHash.slice(0, 12)} any more: look at it again`;
          throw new RpcError(codes.ABORTED, message, {
            reason: "PLAN_CHANGED",
            metadata: { plan_hash: plan.hash },
          });
        }
        const { unknown } = selectSteps(plan, request.holds);
        if (unknown.length) throw unknownHolds(request.holds, unknown);
        const nodes = plan.nodes.map(({ node }) => node);
        const occupied = occupiedNodes(state, cluster.name, nodes);
        if (occupied.length)
          throw faulty("NODE_BUSY", `cluster ${cluster.name} cannot be deployed now`, occupied);
        // What would be started has no name yet.
        if (request.validateOnly) return { deployment: { cluster: cluster.name } };
        const started = startDeployment(decision, cluster, plan, request.holds);
        return { deployment: asItIs(decision, started) };
      }),
    retryDeployment: (request) =>
      mutations.decide(method.retryDeployment, request, (decision) => {
        const deployment = find(decision, request);
        if (isRunning(deployment)) throw stillRunning(deployment);
        checkNewest(decision, deployment);
        const steps = retryDeployment(decision, deployment);
        const now = asItIs(decision, deployment);
        if (!steps && !isRunning(now))
          throw refused("NOTHING_TO_RETRY", `every step of ${deployment.name} has succeeded`);
        return { deployment: now, steps };
      }),
    resumeDeployment: (request) =>
      mutations.decide(method.resumeDeployment, request, (decision) => {
        const deployment = find(decision, request);
        const { STOPPED, STOPPING } = Deployment_State;
        const stopped = deployment.state === STOPPED || (deployment.state === STOPPING && !deployment.forced);
        if (!stopped) throw notStopped(deployment);
        checkNewest(decision, deployment);
        resumeDeployment(decision, deployment);
        return { deployment: asItIs(decision, deployment) };
      }),
    stopDeployment: (request) =>
      mutations.decide(method.stopDeployment, request, (decision) => {
        const deployment = find(decision, request);
        if (!isRunning(deployment)) throw refused("NOT_RUNNING", `${deployment.name} has ended already`);
        stopDeployment(decision, deployment, request.force);
        return { deployment: asItIs(decision, deployment) };
      }),
    holdSteps: (request) =>
      mutations.decide(method.holdSteps, request, (decision) => {
        const deployment = find(decision, request);
        return chosen(deployment, holdSteps(decision, deployment, request.steps));
      }),
    continueSteps: (request) =>
      mutations.decide(method.continueSteps, request, (decision) => {
        const deployment = find(decision, request);
        return chosen(deployment, continueSteps(decision, deployment, request.steps));
      }),
  };
}

/** The deployment as the caller has seen it. */
function find({ state }: Decision, { name, etag }: { name: string; etag: string }): Deployment {
  const deployment = findDeployment(state, name);
  checkEtag(etag, `deployment ${deployment.name}`, deployment);
  return deployment;
}

/** The plan is large, and the caller has agreed to it. */
function asItIs(decision: Decision, { name }: Deployment): Deployment {
  numberChanges(decision);
  return withoutPlan(findDeployment(decision.state, name));
}

function checkNewest({ state }: Decision, deployment: Deployment): void {
  if (state.clusters.get(deployment.cluster)?.deployment !== deployment.name) {
    const message = `${deployment.name} is not the newest deployment of ${deployment.cluster}: go on with that, or deploy again`;
    throw refused("NOT_NEWEST", message);
  }
  const taken = takenNodes(state, deployment);
  if (taken.length) throw faulty("NODE_BUSY", `${deployment.name} cannot go on`, taken);
}

function stillRunning({ name, state }: Deployment): RpcError {
  const message =
    state === Deployment_State.STOPPING
      ? `${name} is stopping: its running steps must end first, wait for it`
      : `${name} is still running: wait for it or stop it`;
  return refused("RUNNING", message);
}

function notStopped({ name, forced }: Deployment): RpcError {
  return refused(
    "NOT_STOPPED",
    forced
      ? `${name} is being stopped by force: wait for it`
      : `${name} is not stopped: there is nothing to take back`,
  );
}

function unknownHolds(holds: string[], unknown: string[]): RpcError {
  const fields = unknown.map((word) => ({
    field: `holds[${holds.indexOf(word)}]`,
    description: `the plan has no step \`${word}\`; give NODE/TASK, or TASK for every node`,
  }));
  const message = fields.map(({ field, description }) => `${field}: ${description}`).join("; ");
  return new RpcError(codes.INVALID_ARGUMENT, message, { reason: "UNKNOWN_STEP", fields });
}

type Chosen = ReturnType<typeof holdSteps>;

function chosen({ name }: Deployment, result: Chosen): { steps: string[] } {
  if ("steps" in result) return result;
  if ("unknown" in result) throw notFound("step", `${name}/${result.unknown.join(`, ${name}/`)}`);
  const steps = result.begun.join(", ");
  throw refused("BEGUN", `${steps} of ${name} can no longer be held: begun or done already`);
}
