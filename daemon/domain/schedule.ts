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
import {
  begin,
  changesNodes,
  fail,
  finishJoin,
  idOf,
  skip,
  stirDependents,
  stirQueue,
  succeed,
} from "./attempt.ts";
import type { Decision } from "./decision.ts";
import { endIfDone } from "./ending.ts";
import { needOf } from "./need.ts";
import type { NodeEvent } from "./node.ts";
import { planIndex } from "./plan-index.ts";
import { hasTurn, isActive } from "./step-book.ts";
import { environmentOf, isProvisioning } from "./tasks.ts";
import { keepTolerances } from "./tolerance.ts";

const { PENDING, READY, FAILED, CANCELLED, BLOCKED } = Step_State;

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
      if (planned) look(decision, name, planned);
    }
    const now = state.deployments.get(name);
    if (now) keepTolerances(decision, now);
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
  decision.stir(deployment.name, decision.state.stepBook(deployment.name).ofNode(name).values().map(idOf));
}

export function isRunning({ state }: Deployment): boolean {
  return state === Deployment_State.RUNNING || state === Deployment_State.STOPPING;
}

function look(decision: Decision, name: string, planned: PlannedStep): void {
  const { state } = decision;
  const known = state.deployments.get(name);
  const step = state.step(`${name}/${planned.id}`);
  if (!known?.plan || !step || ![PENDING, READY, BLOCKED].some((open) => open === step.state)) return;
  // Every look: what has failed a moment ago, in the same decision, counts too.
  const deployment = keepTolerances(decision, known);
  const verdict = state.stepBook(name).requirements(known.plan).verdict(planned.id);
  if (verdict === "hopeless") {
    // It may wait for thousands, and is blocked by the first that it was blocked by.
    if (step.state !== BLOCKED) set(decision, step, BLOCKED, deadRequirement(decision, deployment, planned));
  } else if (verdict === "open") {
    set(decision, step, PENDING, step.state === PENDING ? step.reason : "");
  } else if (deployment.state === Deployment_State.RUNNING) {
    takeTurn(decision, deployment, planned, step);
  } else if (step.state === BLOCKED) {
    set(decision, step, PENDING, "");
  }
}

/** All that it requires is done. */
function takeTurn(decision: Decision, deployment: Deployment, planned: PlannedStep, step: Step): void {
  if (planned.action?.kind.case === "join") {
    join(decision, step);
    return;
  }
  // Once: what it reads may change while it waits for its node, but nothing that it requires does.
  const need = step.state === READY ? "do" : needOf(decision.state, deployment, planned);
  if (need === "do") startOrSay(decision, planned, step);
  else if ("skip" in need) skip(decision, step, need.skip);
  // Another attempt would find the same.
  else fail(decision, { ...step, retriesLeft: 0 }, need.fault);
}

/** A point at which steps of several nodes come together is done when they are. */
function join(decision: Decision, step: Step): void {
  if (step.hold) set(decision, step, READY, held(step));
  else finishJoin(decision, step);
}

/** Changes the state of a step that has not begun. What comes after it may be blocked, or no longer. */
function set(decision: Decision, step: Step, state: Step_State, reason: string): void {
  if (step.state === state && step.reason === reason && !step.waitTime) return;
  if ((step.state === BLOCKED) !== (state === BLOCKED)) {
    stirDependents(decision, step);
  }
  decision.step(step, { state, reason, waitTime: undefined });
}

/** Why it cannot start before a retry. The reason names the step at the root. */
function deadRequirement(decision: Decision, deployment: Deployment, planned: PlannedStep): string {
  const { name, plan } = deployment;
  const requirements = plan && decision.state.stepBook(name).requirements(plan);
  const isCause = (required: string) =>
    requirements?.isDead(required) && !requirements.isForgiven(required, planned.id);
  const id =
    planned.requires.find(isCause) ?? requirements?.leftBehind(planned.id).find((own) => isCause(own));
  const required = decision.state.step(`${name}/${id}`);
  if (required?.state === BLOCKED) return required.reason;
  if (required?.state === FAILED) return `${id} has failed`;
  if (required?.state === CANCELLED) return `${id} was cancelled`;
  // Provisioning that has succeeded counts only while what it is built on does.
  const before = planIndex(plan).steps.get(id ?? "");
  return before ? deadRequirement(decision, deployment, before) : "";
}

function startOrSay(decision: Decision, planned: PlannedStep, step: Step): void {
  const node = decision.state.nodes.get(planned.node);
  const obstacle = node ? obstacleOf(decision, node, step) : `there is no node ${planned.node} any more`;
  if (!node || obstacle !== undefined) {
    set(decision, step, READY, obstacle ?? "");
    stirQueue(decision, planned, step);
  } else if (!isThere(node, planned)) {
    if (step.waitTime) return;
    const reason = `waits for ${node.name}'s agent: see the node's power and console`;
    decision.step(step, { state: READY, reason, waitTime: decision.now });
    stirQueue(decision, planned, step);
  } else if (!isItsTurn(decision, planned, step)) {
    const limit = planned.limit === 1 ? "one" : `${planned.limit}`;
    set(decision, step, READY, `waits for its turn: no more than ${limit} ${planned.task} at once`);
    decision.state.stepBook(step.deployment).queue(step);
  } else {
    start(decision, node, planned, step);
  }
}

/** Whether the limit of its task lets it start. */
function isItsTurn({ state }: Decision, { limit, task }: PlannedStep, step: Step): boolean {
  return !limit || hasTurn(step) || state.stepBook(step.deployment).turnCount(task) < limit;
}

/** What keeps a step from starting whose requirements are met, for people; undefined if nothing does. */
function obstacleOf(decision: Decision, node: Node, step: Step): string | undefined {
  const { name } = node;
  if (step.hold) return held(step);
  // The reason is that of the last failure; next_attempt_time says when.
  if (step.nextAttemptTime && timestampMs(step.nextAttemptTime) > decision.nowMs) return step.reason;
  if (node.maintenance) return `${name} is in maintenance: \`muster maintenance ${name} off\` ends that`;
  const busy = decision.state.stepBook(step.deployment).liveOf(name).find(isActive);
  return busy && `${name} is busy with ${busy.task}`;
}

function held(step: Step): string {
  return `held: \`muster go ${step.deployment} ${idOf(step)}\` lets it start`;
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

/** What beginning it means for its node. */
function eventOf(decision: Decision, { task }: PlannedStep, step: Step): NodeEvent | undefined {
  if (!changesNodes(decision.state.deployments.get(step.deployment)?.plan)) return undefined;
  if (task === "wipe") return "clean";
  if (!isProvisioning(task)) return "configure";
  const steps = decision.state.stepBook(step.deployment).ofNode(step.node);
  return steps.has(`${step.deployment}/${step.node}/wipe`) ? "release" : "provision";
}
