// Which steps start now, which must wait and for what, and when a deployment has ended. Looks only at steps that
// a decision has stirred: a deployment may have tens of thousands.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Deployment,
  Deployment_State,
  type PlannedStep,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { BootTarget, Environment, type Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { begin, idOf, stirDependents, succeed } from "./attempt.ts";
import type { Decision } from "./decision.ts";
import { endIfDone } from "./ending.ts";
import type { NodeEvent } from "./node.ts";
import { planIndex } from "./plan-index.ts";
import { isActive } from "./step-book.ts";
import { environmentOf, isProvisioning } from "./tasks.ts";

const { PENDING, READY, SUCCEEDED, FAILED, CANCELLED, SKIPPED, BLOCKED } = Step_State;

/** Starts what can start among the steps that the decision has stirred, and ends deployments that are done. */
export function schedule(decision: Decision): void {
  const { state, stirred } = decision;
  for (let next = stirred.entries().next(); !next.done; next = stirred.entries().next()) {
    const [name, ids] = next.value;
    stirred.delete(name);
    const deployment = state.deployments.get(name);
    if (!deployment) continue;
    const { places, steps } = planIndex(deployment.plan);
    // In the order of the plan: what is blocked or done at once is known to what comes after it.
    const sorted = [...ids].sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
    for (const id of sorted) {
      const planned = steps.get(id);
      if (planned) look(decision, deployment, planned);
    }
    if (!stirred.has(name)) endIfDone(decision, deployment);
  }
}

/** Has schedule() look at everything in the running deployments. */
export function stirAll(decision: Decision): void {
  for (const deployment of decision.state.deployments.values()) {
    if (isRunning(deployment)) decision.stir(deployment.name, planIndex(deployment.plan).steps.keys());
  }
}

/** Has schedule() look at all that a node has to do in the newest deployment of its cluster. */
export function stirNode(decision: Decision, { name, cluster }: Node): void {
  const deployment = decision.state.deployment(cluster);
  if (!deployment || !isRunning(deployment)) return;
  decision.stir(
    deployment.name,
    [...decision.state.stepBook(deployment.name).ofNode(name).values()].map(idOf),
  );
}

export function isRunning({ state }: Deployment): boolean {
  return state === Deployment_State.RUNNING || state === Deployment_State.STOPPING;
}

function look(decision: Decision, deployment: Deployment, planned: PlannedStep): void {
  const step = decision.state.step(`${deployment.name}/${planned.id}`);
  if (!step || ![PENDING, READY, BLOCKED].some((open) => open === step.state)) return;
  const dead = deadRequirement(decision, deployment, planned);
  if (dead) {
    set(decision, step, BLOCKED, dead);
  } else if (planned.requires.every((id) => isDone(decision, deployment, id))) {
    if (deployment.state === Deployment_State.RUNNING) startOrSay(decision, planned, step);
    else if (step.state === BLOCKED) set(decision, step, PENDING, "");
  } else {
    set(decision, step, PENDING, step.state === PENDING ? step.reason : "");
  }
}

/** Changes the state of a step that has not begun. What comes after it may be blocked, or no longer. */
function set(decision: Decision, step: Step, state: Step_State, reason: string): void {
  if (step.state === state && step.reason === reason && !step.waitTime) return;
  if ((step.state === BLOCKED) !== (state === BLOCKED)) {
    stirDependents(decision, step);
  }
  decision.step(step, { state, reason, waitTime: undefined });
}

/** Why it cannot start before a retry, or nothing. The reason names the step at the root. */
function deadRequirement(decision: Decision, deployment: Deployment, planned: PlannedStep): string {
  for (const id of planned.requires) {
    const required = decision.state.step(`${deployment.name}/${id}`);
    if (required?.state === BLOCKED) return required.reason;
    if (required?.state === FAILED) return `${id} has failed`;
    if (required?.state === CANCELLED) return `${id} was cancelled`;
    const before = planIndex(deployment.plan).steps.get(id);
    // Provisioning that has succeeded counts only while what it is built on does.
    if (required?.state !== SUCCEEDED || !before || !isProvisioning(required.task)) continue;
    const dead = deadRequirement(decision, deployment, before);
    if (dead) return dead;
  }
  return "";
}

/** A provisioning step that has succeeded counts only while what it is built on does. */
function isDone(decision: Decision, deployment: Deployment, id: string): boolean {
  const step = decision.state.step(`${deployment.name}/${id}`);
  if (step?.state === SKIPPED) return true;
  if (step?.state !== SUCCEEDED) return false;
  if (!isProvisioning(step.task)) return true;
  const requires = planIndex(deployment.plan).steps.get(id)?.requires ?? [];
  return requires.every((required) => isDone(decision, deployment, required));
}

function startOrSay(decision: Decision, planned: PlannedStep, step: Step): void {
  const node = decision.state.nodes.get(planned.node);
  const obstacle = node ? obstacleOf(decision, node, step) : `there is no node ${planned.node} any more`;
  if (!node || obstacle !== undefined) {
    set(decision, step, READY, obstacle ?? "");
  } else if (isThere(node, planned)) {
    start(decision, node, planned, step);
  } else if (!step.waitTime) {
    const reason = `waits for ${node.name}'s agent: see the node's power and console`;
    decision.step(step, { state: READY, reason, waitTime: decision.now });
  }
}

/** What keeps a step from starting whose requirements are met, for people; undefined if nothing does. */
function obstacleOf(decision: Decision, node: Node, step: Step): string | undefined {
  const { name } = node;
  if (step.hold) return `held: \`muster go ${step.deployment} ${idOf(step)}\` lets it start`;
  // The reason is that of the last failure; next_attempt_time says when.
  if (step.nextAttemptTime && timestampMs(step.nextAttemptTime) > decision.nowMs) return step.reason;
  if (node.maintenance) return `${name} is in maintenance: \`muster maintenance ${name} off\` ends that`;
  const others = [...decision.state.stepBook(step.deployment).ofNode(name).values()];
  const busy = others.find(isActive);
  return busy && `${name} is busy with ${busy.task}`;
}

function isThere(node: Node, { task }: PlannedStep): boolean {
  return task === "bootstrap" || (node.online && node.environment === environmentOf(task));
}

function start(decision: Decision, node: Node, planned: PlannedStep, step: Step): void {
  const event = eventOf(decision, planned, step);
  if (planned.task === "bootstrap") {
    if (node.online && node.environment === Environment.BOOTSTRAP) {
      succeed(decision, begin(decision, node, step, event), "was in the ramdisk already");
      return;
    }
    const { token } = begin(decision, node, step, event, { bootTarget: BootTarget.RAMDISK });
    decision.effect({ do: "bootRamdisk", step: step.name, token, node: node.name });
  } else if (planned.task === "reboot") {
    const { token } = begin(decision, node, step, event, { bootTarget: BootTarget.DISK });
    decision.effect({ do: "bootDiskThenAssign", step: step.name, token });
  } else {
    begin(decision, node, step, event);
    decision.effect({ do: "assign", step: step.name });
  }
}

function eventOf(decision: Decision, { task }: PlannedStep, step: Step): NodeEvent {
  if (task === "wipe") return "clean";
  if (!isProvisioning(task)) return "configure";
  const steps = decision.state.stepBook(step.deployment).ofNode(step.node);
  return steps.has(`${step.deployment}/${step.node}/wipe`) ? "release" : "provision";
}
