// The operator's verbs on deployments: start, retry, stop.
import { create } from "@bufbuild/protobuf";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  type Deployment,
  Deployment_State,
  DeploymentSchema,
  type Plan,
  Step_State,
  StepSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, type Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Decision } from "./decision.ts";
import { schedule } from "./schedule.ts";
import { put } from "./state.ts";
import { isProvisioning } from "./tasks.ts";

export function isRunning({ state }: Deployment): boolean {
  return state === Deployment_State.RUNNING || state === Deployment_State.STOPPING;
}

/** Stores the plan as a deployment and starts its first steps. */
export function startDeployment(decision: Decision, cluster: Cluster, plan: Plan): Deployment {
  const count = [...decision.state.deployments.values()].filter(
    (other) => other.cluster === cluster.name,
  ).length;
  const name = `${cluster.name}-${count + 1}`;
  const deployment = create(DeploymentSchema, {
    name,
    cluster: cluster.name,
    state: Deployment_State.RUNNING,
    plan,
    startTime: decision.now,
  });
  decision.change(put({ case: "deployment", value: deployment }));
  decision.change(put({ case: "cluster", value: { ...cluster, deployment: name } }));
  for (const { node, task } of plan.steps) {
    const step = create(StepSchema, {
      name: `${name}/${node}/${task}`,
      deployment: name,
      node,
      task,
      state: Step_State.PENDING,
    });
    decision.change(put({ case: "step", value: step }));
  }
  for (const { node: nodeName, role, hostname } of plan.nodes) {
    const node = decision.state.nodes.get(nodeName);
    if (node) decision.node(node, { cluster: cluster.name, role, hostname, reason: "" }, "reserved");
  }
  const nodeCount = plan.nodes.length === 1 ? "1 node" : `${plan.nodes.length} nodes`;
  const message = `${nodeCount}, ${plan.steps.length} steps, plan ${plan.hash.slice(0, 12)}`;
  decision.event(Event_Severity.INFO, `deployment/${name}`, "DEPLOYMENT_STARTED", message);
  schedule(decision);
  return deployment;
}

/** Sets the failed steps back to pending. Returns how many will be tried again; 0 if none has failed. */
export function retryDeployment(decision: Decision, deployment: Deployment): number {
  const steps = decision.state.steps(deployment.name);
  const unfinished = steps.filter(({ state }) => state !== Step_State.SUCCEEDED);
  const failed = unfinished.filter(({ state }) => state === Step_State.FAILED);
  if (!unfinished.length) return 0;
  let again = failed.length;
  for (const step of unfinished) {
    decision.step(step, { state: Step_State.PENDING, reason: "", startTime: undefined, endTime: undefined });
  }
  const nodes = new Set(unfinished.map(({ node }) => node));
  for (const name of nodes) {
    const node = decision.state.nodes.get(name);
    if (!node) continue;
    decision.node(node, { reason: "" }, "reserved");
    const bootstrap = decision.state.step(`${deployment.name}/${name}/bootstrap`);
    if (!needsRamdiskAgain(node, unfinished)) {
      if (!node.online) decision.effect({ do: "powerOn", node: name });
    } else if (bootstrap?.state === Step_State.SUCCEEDED) {
      decision.step(bootstrap, { state: Step_State.PENDING, reason: "" });
      again++;
    }
  }
  const running = { ...deployment, state: Deployment_State.RUNNING, reason: "", endTime: undefined };
  decision.change(put({ case: "deployment", value: running }));
  const subject = `deployment/${deployment.name}`;
  decision.event(Event_Severity.INFO, subject, "DEPLOYMENT_RETRIED", `${again} steps will be tried again`);
  schedule(decision);
  return again;
}

/** It has provisioning left to do, but has left the ramdisk. */
function needsRamdiskAgain(node: Node, unfinished: { node: string; task: string }[]): boolean {
  const provisioning = unfinished.some((step) => step.node === node.name && isProvisioning(step.task));
  return provisioning && !(node.online && node.environment === Environment.BOOTSTRAP);
}

export function stopDeployment(decision: Decision, deployment: Deployment): void {
  if (deployment.state !== Deployment_State.RUNNING) return;
  decision.change(put({ case: "deployment", value: { ...deployment, state: Deployment_State.STOPPING } }));
  // A machine that is awaited in the ramdisk has nothing to finish.
  for (const step of decision.state.steps(deployment.name)) {
    if (step.task !== "bootstrap" || step.state !== Step_State.RUNNING) continue;
    decision.step(step, { state: Step_State.PENDING, reason: "stopped by the operator" });
  }
  const subject = `deployment/${deployment.name}`;
  decision.event(Event_Severity.WARNING, subject, "DEPLOYMENT_STOPPING", "no further step starts");
  schedule(decision);
}
