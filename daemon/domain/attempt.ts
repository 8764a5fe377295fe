// How an attempt of a step begins, and what its end means for the step, its node and the history.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Attempt,
  type Plan,
  type PlannedStep,
  Purpose,
  type Step,
  Step_State,
  type TaskRecord,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { backOffMs, deadlineMs } from "./attempt-times.ts";
import type { Decision } from "./decision.ts";
import type { NodeEvent } from "./node.ts";
import { planIndex } from "./plan-index.ts";
import { putWhole } from "./state.ts";
import { isProvisioning, wipesDisks } from "./tasks.ts";

const { READY, RUNNING, SUCCEEDED, FAILED, CANCELLED, BLOCKED } = Step_State;

export function plannedStep(decision: Decision, step: Step): PlannedStep | undefined {
  const plan = decision.state.deployments.get(step.deployment)?.plan;
  return planIndex(plan).steps.get(`${step.node}/${step.task}`);
}

/** Whether its agent only begins it, and the machine's next boot decides. */
export function awaitsBoot(decision: Decision, step: Step): boolean {
  return step.task === "reboot" || plannedStep(decision, step)?.action?.kind.case === "restart";
}

/** `event` is undefined if nothing becomes of the node by it. */
export function begin(
  decision: Decision,
  node: Node,
  step: Step,
  event: NodeEvent | undefined,
  fields: Partial<Node> = {},
): Step {
  if (event) decision.node(node, { ...fields, reason: "" }, event);
  if (wipesDisks(step.task)) forgetTasks(decision, node.name);
  const attempt = step.attempt + 1;
  return decision.step(step, {
    state: RUNNING,
    attempt,
    token: `${step.name}/${attempt}`,
    fence: decision.revision,
    reason: "",
    result: "",
    exitCode: 0,
    startTime: decision.now,
    endTime: undefined,
    nextAttemptTime: undefined,
    waitTime: undefined,
    deadlineTime: timestampFromMs(deadlineMs(plannedStep(decision, step), decision.nowMs)),
    progress: undefined,
    erasures: [],
    outcome: TaskOutcome.UNSPECIFIED,
    facts: undefined,
    changes: [],
  });
}

export type Told = Partial<Pick<Step, "outcome" | "facts" | "changes">> & { logBytes?: bigint };

/** `told`: what the agent says beside that. */
export function succeed(decision: Decision, step: Step, result: string, told: Told = {}): void {
  const { logBytes = 0n, ...fields } = told;
  const planned = plannedStep(decision, step);
  // An agent that does not say it may have changed something.
  const outcome =
    fields.outcome || (isProvisioning(step.task) ? TaskOutcome.UNSPECIFIED : TaskOutcome.CHANGED);
  const done = finish(decision, planned, step, { ...fields, outcome, reason: "", result });
  record(decision, done, SUCCEEDED, logBytes);
  if (planned && remembersTasks(planOf(decision, step))) remember(decision, done, planned);
  goOnAfter(decision, done);
}

/** A step that need not be done now, without an attempt. What is remembered of the task stays as it is. */
export function skip(decision: Decision, step: Step, result: string): void {
  const skipped = { outcome: TaskOutcome.SKIPPED, reason: "", result, startTime: undefined };
  goOnAfter(decision, finish(decision, plannedStep(decision, step), step, skipped));
}

/** What a join waits for is done. */
export function finishJoin(decision: Decision, step: Step): void {
  finish(decision, undefined, step, { reason: "", result: "" });
}

/** Ends an attempt; the next one follows by itself if the task has retries left. */
export function fail(
  decision: Decision,
  step: Step,
  reason: string,
  event: "failed" | "silent" = "failed",
  logBytes = 0n,
): void {
  const planned = plannedStep(decision, step);
  // A silent node is no fault of the task.
  if (event === "failed" && step.retriesLeft > 0) tryAgain(decision, planned, step, reason, logBytes);
  else if (event === "failed" && planned?.ignoreFailure) ignore(decision, planned, step, reason, logBytes);
  else failForGood(decision, step, reason, event, logBytes);
}

function tryAgain(
  decision: Decision,
  planned: PlannedStep | undefined,
  step: Step,
  reason: string,
  logBytes: bigint,
): void {
  const waitMs = backOffMs(planned, (planned?.retries ?? 0) - step.retriesLeft + 1);
  const ended = { reason, endTime: decision.now, deadlineTime: undefined, waitTime: undefined };
  stirNode(decision, step);
  record(decision, { ...step, ...ended }, FAILED, logBytes);
  decision.step(step, {
    ...ended,
    state: READY,
    startTime: undefined,
    nextAttemptTime: timestampFromMs(decision.nowMs + waitMs),
    retriesLeft: step.retriesLeft - 1,
  });
  const next = `${reason}; attempt ${step.attempt + 1} follows in ${waitMs / 1000} s`;
  decision.event(Event_Severity.WARNING, `step/${step.name}`, "STEP_RETRIES", next);
}

/** What comes after it goes on, but the next deployment does it anew. */
function ignore(
  decision: Decision,
  planned: PlannedStep,
  step: Step,
  reason: string,
  logBytes: bigint,
): void {
  const ended = finish(decision, planned, step, { outcome: TaskOutcome.IGNORED, reason });
  record(decision, ended, FAILED, logBytes);
  decision.event(Event_Severity.WARNING, `step/${step.name}`, "FAILURE_IGNORED", reason);
  goOnAfter(decision, ended);
}

function failForGood(
  decision: Decision,
  step: Step,
  reason: string,
  event: "failed" | "silent",
  logBytes: bigint,
): void {
  const failed = decision.step(step, {
    state: FAILED,
    reason,
    endTime: decision.now,
    deadlineTime: undefined,
    waitTime: undefined,
    nextAttemptTime: undefined,
  });
  record(decision, failed, FAILED, logBytes);
  stirDependents(decision, step);
  stirNode(decision, step);
  stirQueue(decision, plannedStep(decision, step), step);
  // Where its node may fail, what waits for the rest of it goes on.
  for (const other of decision.state.stepBook(step.deployment).ofNode(step.node).values())
    if (other.state === BLOCKED) stirDependents(decision, other);
  const node = decision.state.nodes.get(step.node);
  if (node && changesNodes(planOf(decision, step)))
    decision.node(node, { reason: `${step.task}: ${reason}` }, event);
  const name = event === "silent" ? "NODE_LOST" : "STEP_FAILED";
  decision.event(Event_Severity.ERROR, `step/${step.name}`, name, reason);
}

/** A forced stop has ended the attempt. */
export function cancelled(decision: Decision, step: Step, reason: string, logBytes = 0n): void {
  const ended = decision.step(step, {
    state: CANCELLED,
    reason,
    endTime: decision.now,
    deadlineTime: undefined,
    waitTime: undefined,
    nextAttemptTime: undefined,
  });
  record(decision, ended, CANCELLED, logBytes);
  stirDependents(decision, step);
}

/** It counts as done from now on. */
function finish(
  decision: Decision,
  planned: PlannedStep | undefined,
  step: Step,
  fields: Partial<Step>,
): Step {
  const done = decision.step(step, {
    ...fields,
    state: SUCCEEDED,
    endTime: decision.now,
    deadlineTime: undefined,
    waitTime: undefined,
    nextAttemptTime: undefined,
  });
  stirDependents(decision, step);
  stirNode(decision, step);
  stirQueue(decision, planned, step);
  return done;
}

/** What it means for its node that a step is done. */
function goOnAfter(decision: Decision, { deployment, node: name, task }: Step): void {
  const { state } = decision;
  const plan = state.deployments.get(deployment)?.plan;
  const node = state.nodes.get(name);
  if (!node || !changesNodes(plan)) return;
  if (plan?.purpose === Purpose.RELEASE) {
    if (task === "wipe") setFree(decision, node, deployment);
  } else if (state.stepBook(deployment).openOf(name) === 0) {
    decision.node(node, { reason: "" }, "completed");
    decision.event(Event_Severity.INFO, `node/${name}`, "READY", `deployed by ${deployment}`);
  } else if (task === "reboot") {
    decision.node(node, {}, "provisioned");
  }
}

function remember(
  decision: Decision,
  { node, task, deployment, outcome, facts }: Step,
  planned: PlannedStep,
) {
  const { id: name, digest } = planned;
  const success = { name, node, task, digest, deployment, outcome, facts, time: decision.now };
  const value: TaskRecord = { $typeName: "muster.v1.TaskRecord", revision: 0n, ...success };
  decision.change(putWhole({ case: "taskRecord", value }));
  if (outcome !== TaskOutcome.CHANGED) return;
  // Until these have been done too, no later plan may leave them out.
  const { refreshes } = planIndex(planOf(decision, { deployment }));
  const records = decision.state.taskRecords.get(node);
  for (const id of refreshes.get(planned.id) ?? []) {
    if (records?.has(taskOf(id))) decision.change({ delete: `taskRecord/${id}` });
  }
}

/** Has schedule() look at what requires a step, also by way of what has succeeded already. */
export function stirDependents(decision: Decision, step: Step): void {
  const { dependents, steps } = planIndex(planOf(decision, step));
  const ids = dependents.get(idOf(step)) ?? [];
  decision.stir(step.deployment, ids);
  for (const id of ids) {
    const kind = steps.get(id)?.action?.kind;
    const isJoinOfAll = kind?.case === "join" && !kind.value.need;
    if (!isJoinOfAll && !isProvisioning(taskOf(id))) continue;
    const other = decision.state.step(`${step.deployment}/${id}`);
    if (other?.state !== SUCCEEDED) continue;
    // It went on without this node, and what comes after it has waited for the node's own part.
    if (isJoinOfAll) stirAllOf(decision, step);
    else stirDependents(decision, other);
  }
}

function stirAllOf(decision: Decision, { deployment, node }: Step): void {
  decision.stir(deployment, decision.state.stepBook(deployment).ofNode(node).values().map(idOf));
}

/** Has schedule() look at all that the step's node could do. */
function stirNode(decision: Decision, { deployment, node }: Step): void {
  const steps = decision.state.stepBook(deployment).liveOf(node);
  decision.stir(deployment, steps.filter(({ state }) => state === READY).map(idOf));
}

/** Has schedule() look at those whose turn it could be now, of the steps that a limit keeps waiting. */
export function stirQueue(decision: Decision, planned: PlannedStep | undefined, step: Step): void {
  const limit = planned?.limit ?? 0;
  if (!limit) return;
  const book = decision.state.stepBook(step.deployment);
  const next = book.nextInQueue(step.task, limit - book.turnCount(step.task));
  decision.stir(step.deployment, next.map(idOf));
}

export function idOf({ node, task }: Step): string {
  return `${node}/${task}`;
}

function taskOf(id: string): string {
  return id.slice(id.indexOf("/") + 1);
}

function planOf({ state }: Decision, { deployment }: Pick<Step, "deployment">): Plan | undefined {
  return state.deployments.get(deployment)?.plan;
}

/** What only looks leaves no trace on nodes. */
export function changesNodes(plan: Plan | undefined): boolean {
  return plan?.purpose !== Purpose.CHECK;
}

function remembersTasks(plan: Plan | undefined): boolean {
  return plan?.purpose !== Purpose.CHECK && plan?.purpose !== Purpose.RELEASE;
}

/** What has not begun, such as a step whose node never came, is no attempt. */
function record(decision: Decision, step: Step, state: Step_State, logBytes: bigint): void {
  if (!step.startTime || !step.token) return;
  const { name: stepName, deployment, node, task, attempt, startTime, endTime, exitCode } = step;
  const plan = planOf(decision, step);
  const value: Attempt = {
    $typeName: "muster.v1.Attempt",
    revision: 0n,
    name: step.token,
    step: stepName,
    deployment,
    node,
    task,
    number: attempt,
    state,
    startTime,
    endTime,
    exitCode,
    reason: step.reason,
    result: step.result,
    logBytes,
    planHash: plan?.hash ?? "",
    purpose: plan?.purpose ?? Purpose.UNSPECIFIED,
    fence: step.fence,
    progress: step.progress,
    erasures: step.erasures,
    outcome: step.outcome,
    facts: step.facts,
    changes: step.changes,
  };
  decision.change(putWhole({ case: "attempt", value }));
}

/** Its disks are about to be emptied: nothing counts any more but that it is in the ramdisk. */
function forgetTasks(decision: Decision, node: string): void {
  for (const { name, task } of [...(decision.state.taskRecords.get(node)?.values() ?? [])]) {
    if (task !== "bootstrap") decision.change({ delete: `taskRecord/${name}` });
  }
}

function setFree(decision: Decision, node: Node, deployment: string): void {
  const nothing = { cluster: "", role: "", hostname: "", reason: "", installed: undefined };
  decision.node(node, nothing, "cleaned");
  decision.event(Event_Severity.INFO, `node/${node.name}`, "RELEASED", `wiped and set free by ${deployment}`);
}
