// Which steps start now, when a step is tried again, and when a deployment has ended.
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Deployment,
  Deployment_State,
  type PlannedStep,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { BootTarget, Environment, type Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Decision } from "./decision.ts";
import type { NodeEvent } from "./node.ts";
import { put } from "./state.ts";
import { environmentOf, isProvisioning } from "./tasks.ts";

const { PENDING, RUNNING, SUCCEEDED, FAILED, UNKNOWN } = Step_State;

/** Between a failed attempt and the next one that the task allows: 5 s, 10 s, 20 s, ... at most 5 minutes. */
const backOffMs = (attempt: number) => Math.min(5000 * 2 ** (attempt - 1), 300_000);

/** Starts whatever can start in every running deployment, and ends the deployments that are done. */
export function schedule(decision: Decision): void {
  for (const deployment of decision.state.deployments.values()) {
    if (deployment.state === Deployment_State.RUNNING) startReady(decision, deployment);
    if ([Deployment_State.RUNNING, Deployment_State.STOPPING].some((state) => state === deployment.state)) {
      endIfDone(decision, deployment);
    }
  }
}

function startReady(decision: Decision, deployment: Deployment): void {
  const busy = busyNodes(decision, deployment);
  let doneAtOnce = false;
  for (const { planned, step, node } of readySteps(decision, deployment)) {
    if (busy.has(node.name)) continue;
    const started = start(decision, node, planned, step);
    if (started === "runs") busy.add(node.name);
    if (started === "done") doneAtOnce = true;
  }
  // What came after it can start now.
  if (doneAtOnce) startReady(decision, deployment);
}

type Ready = { planned: PlannedStep; step: Step; node: Node };

/** The steps that may start now, if their node is free, there, and in the right environment. */
function readySteps(decision: Decision, deployment: Deployment): Ready[] {
  const { state, nowMs } = decision;
  const ready: Ready[] = [];
  // A step that has succeeded counts only while what it is built on does. The plan is in order.
  const done = new Set<string>();
  for (const planned of deployment.plan?.steps ?? []) {
    const step = state.step(`${deployment.name}/${planned.id}`);
    const node = state.nodes.get(planned.node);
    if (!step || !node || !planned.requires.every((id) => done.has(id))) continue;
    if (step.state === SUCCEEDED) done.add(planned.id);
    const due = !step.nextAttemptTime || timestampMs(step.nextAttemptTime) <= nowMs;
    if (step.state === PENDING && due) ready.push({ planned, step, node });
  }
  return ready;
}

/** What the nodes that have nothing to do would do next, if they were there. */
export function waitingForNode(decision: Decision, deployment: Deployment): Ready[] {
  if (deployment.state !== Deployment_State.RUNNING) return [];
  const seen = busyNodes(decision, deployment);
  return readySteps(decision, deployment).filter(({ planned, node }) => {
    if (seen.has(node.name)) return false;
    seen.add(node.name);
    return !isThere(node, planned);
  });
}

function busyNodes(decision: Decision, deployment: Deployment): Set<string> {
  const active = decision.state.steps(deployment.name).filter(isActive);
  return new Set(active.map(({ node }) => node));
}

function isThere(node: Node, { task }: PlannedStep): boolean {
  return task === "bootstrap" || (node.online && node.environment === environmentOf(task));
}

/** `waits`: the node is not there, or not where the step can run. */
function start(decision: Decision, node: Node, planned: PlannedStep, step: Step): "runs" | "done" | "waits" {
  const inRamdisk = node.online && node.environment === Environment.BOOTSTRAP;
  if (planned.task === "bootstrap") {
    if (inRamdisk) {
      const running = begin(decision, node, step, "provision");
      succeed(decision, running, "was in the ramdisk already");
      return "done";
    }
    begin(decision, node, step, "provision", { bootTarget: BootTarget.RAMDISK });
    decision.effect({ do: "bootRamdisk", step: step.name, node: node.name });
    return "runs";
  }
  if (!isThere(node, planned)) return "waits";
  const reboot = planned.task === "reboot";
  const event = isProvisioning(planned.task) ? "provision" : "configure";
  begin(decision, node, step, event, reboot ? { bootTarget: BootTarget.DISK } : {});
  decision.effect({ do: reboot ? "bootDiskThenAssign" : "assign", step: step.name });
  return "runs";
}

function begin(
  decision: Decision,
  node: Node,
  step: Step,
  event: NodeEvent,
  fields: Partial<Node> = {},
): Step {
  decision.node(node, { ...fields, reason: "" }, event);
  const attempt = step.attempt + 1;
  return decision.step(step, {
    state: RUNNING,
    attempt,
    token: `${step.name}/${attempt}`,
    reason: "",
    result: "",
    exitCode: 0,
    startTime: decision.now,
    endTime: undefined,
    nextAttemptTime: undefined,
    progress: undefined,
  });
}

export function succeed(decision: Decision, step: Step, result: string): void {
  decision.step(step, { state: SUCCEEDED, reason: "", result, endTime: decision.now });
  const node = decision.state.nodes.get(step.node);
  if (!node) return;
  const rest = decision.state.steps(step.deployment).filter((other) => other.node === node.name);
  if (rest.every(({ state }) => state === SUCCEEDED)) {
    decision.node(node, { reason: "" }, "completed");
    decision.event(Event_Severity.INFO, `node/${node.name}`, "READY", `deployed by ${step.deployment}`);
  } else if (step.task === "reboot") {
    decision.node(node, {}, "provisioned");
  }
}

/** Ends an attempt; the next one follows by itself if the task has retries left. */
export function fail(
  decision: Decision,
  step: Step,
  reason: string,
  event: "failed" | "silent" = "failed",
): void {
  const planned = plannedStep(decision, step);
  const again = event === "failed" && step.attempt <= (planned?.retries ?? 0);
  const subject = `step/${step.name}`;
  if (again) {
    const nextAttemptTime = timestampFromMs(decision.nowMs + backOffMs(step.attempt));
    decision.step(step, { state: PENDING, reason, endTime: decision.now, nextAttemptTime });
    decision.event(Event_Severity.WARNING, subject, "STEP_RETRIES", reason);
    return;
  }
  decision.step(step, { state: FAILED, reason, endTime: decision.now });
  const node = decision.state.nodes.get(step.node);
  if (node) decision.node(node, { reason: `${step.task}: ${reason}` }, event);
  const name = event === "silent" ? "NODE_LOST" : "STEP_FAILED";
  decision.event(Event_Severity.ERROR, subject, name, reason);
}

export function plannedStep(decision: Decision, step: Step): PlannedStep | undefined {
  const plan = decision.state.deployments.get(step.deployment)?.plan;
  return plan?.steps.find(({ id }) => id === `${step.node}/${step.task}`);
}

export function isActive({ state }: Step): boolean {
  return state === RUNNING || state === UNKNOWN;
}

function endIfDone(decision: Decision, deployment: Deployment): void {
  const steps = decision.state.steps(deployment.name);
  if (steps.some(isActive)) return;
  const failed = steps.filter(({ state }) => state === FAILED);
  const stopping = deployment.state === Deployment_State.STOPPING;
  if (steps.every(({ state }) => state === SUCCEEDED)) {
    end(decision, deployment, Deployment_State.SUCCEEDED, "");
  } else if (stopping) {
    end(decision, deployment, Deployment_State.STOPPED, "stopped by the operator");
  } else if (failed.length && !canGoOn(deployment, steps)) {
    const first = failed[0];
    const more = failed.length > 1 ? ` (and ${failed.length - 1} more)` : "";
    end(
      decision,
      deployment,
      Deployment_State.FAILED,
      `${first?.node} ${first?.task}: ${first?.reason}${more}`,
    );
  }
}

/** Whether a pending step is left whose requirements have not failed, directly or further back. */
function canGoOn(deployment: Deployment, steps: Step[]): boolean {
  const states = new Map(steps.map((step) => [`${step.node}/${step.task}`, step.state]));
  const dead = new Set<string>();
  // The plan is in order, so what a step waits for has been seen before it.
  for (const { id, requires } of deployment.plan?.steps ?? []) {
    const state = states.get(id);
    if (state === FAILED || requires.some((required) => dead.has(required))) dead.add(id);
    else if (state === PENDING) return true;
  }
  return false;
}

function end(decision: Decision, deployment: Deployment, state: Deployment_State, reason: string): void {
  decision.change(
    put({ case: "deployment", value: { ...deployment, state, reason, endTime: decision.now } }),
  );
  const good = state === Deployment_State.SUCCEEDED;
  const name = good
    ? "DEPLOYMENT_SUCCEEDED"
    : state === Deployment_State.FAILED
      ? "DEPLOYMENT_FAILED"
      : "DEPLOYMENT_STOPPED";
  const severity = good ? Event_Severity.INFO : Event_Severity.ERROR;
  decision.event(severity, `deployment/${deployment.name}`, name, reason || "all steps succeeded");
}
