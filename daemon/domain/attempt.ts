// How an attempt of a step begins, and what its end means for the step, its node and the history.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AttemptSchema,
  type PlannedStep,
  Purpose,
  type Step,
  Step_State,
  TaskRecordSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Decision } from "./decision.ts";
import type { NodeEvent } from "./node.ts";
import { planIndex } from "./plan-index.ts";
import { put } from "./state.ts";
import { isProvisioning, wipesDisks } from "./tasks.ts";

const { READY, RUNNING, SUCCEEDED, FAILED, CANCELLED, SKIPPED } = Step_State;

/** What the daemon adds to a step's timeout before it stops to wait for the agent's own word. */
const deadlineSlackMs = 30_000;
/** Between a failed attempt and the next one that the task allows: 5 s, 10 s, 20 s, ... at most 5 minutes. */
const backOffMs = (failures: number) => Math.min(5000 * 2 ** (failures - 1), longestBackOffMs);
export const longestBackOffMs = 300_000;

export function plannedStep(decision: Decision, step: Step): PlannedStep | undefined {
  const plan = decision.state.deployments.get(step.deployment)?.plan;
  return planIndex(plan).steps.get(`${step.node}/${step.task}`);
}

export function timeoutMs(planned: PlannedStep | undefined): number {
  return Number(planned?.timeout?.seconds ?? 0n) * 1000 + (planned?.timeout?.nanos ?? 0) / 1e6;
}

/** When the daemon gives up an attempt that begins, or is heard of again, now. */
export function deadlineMs(planned: PlannedStep | undefined, nowMs: number): number {
  return nowMs + timeoutMs(planned) + deadlineSlackMs;
}

export function begin(
  decision: Decision,
  node: Node,
  step: Step,
  event: NodeEvent,
  fields: Partial<Node> = {},
): Step {
  decision.node(node, { ...fields, reason: "" }, event);
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
  });
}

export function succeed(decision: Decision, step: Step, result: string, logBytes = 0n): void {
  const done = decision.step(step, {
    state: SUCCEEDED,
    reason: "",
    result,
    endTime: decision.now,
    deadlineTime: undefined,
  });
  record(decision, done, SUCCEEDED, logBytes);
  const planned = plannedStep(decision, step);
  stirDependents(decision, step);
  stirNode(decision, step);
  const node = decision.state.nodes.get(step.node);
  if (!node || !planned) return;
  if (planOf(decision, step)?.purpose === Purpose.RELEASE) {
    if (step.task === "wipe") setFree(decision, node, step.deployment);
    return;
  }
  const { node: name, task, deployment } = step;
  const success = {
    name: idOf(step),
    node: name,
    task,
    digest: planned.digest,
    deployment,
    time: decision.now,
  };
  decision.change(put({ case: "taskRecord", value: create(TaskRecordSchema, success) }));
  const rest = decision.state.stepBook(deployment).ofNode(name);
  if ([...rest.values()].every(({ state }) => state === SUCCEEDED || state === SKIPPED)) {
    decision.node(node, { reason: "" }, "completed");
    decision.event(Event_Severity.INFO, `node/${name}`, "READY", `deployed by ${deployment}`);
  } else if (task === "reboot") {
    decision.node(node, {}, "provisioned");
  }
}

/** Ends an attempt; the next one follows by itself if the task has retries left. */
export function fail(
  decision: Decision,
  step: Step,
  reason: string,
  event: "failed" | "silent" = "failed",
  logBytes = 0n,
): void {
  const subject = `step/${step.name}`;
  const ended = { reason, endTime: decision.now, deadlineTime: undefined, waitTime: undefined };
  stirNode(decision, step);
  if (event === "failed" && step.retriesLeft > 0) {
    const retries = plannedStep(decision, step)?.retries ?? 0;
    const waitMs = backOffMs(retries - step.retriesLeft + 1);
    record(decision, { ...step, ...ended }, FAILED, logBytes);
    decision.step(step, {
      ...ended,
      state: READY,
      startTime: undefined,
      nextAttemptTime: timestampFromMs(decision.nowMs + waitMs),
      retriesLeft: step.retriesLeft - 1,
    });
    const next = `${reason}; attempt ${step.attempt + 1} follows in ${waitMs / 1000} s`;
    decision.event(Event_Severity.WARNING, subject, "STEP_RETRIES", next);
    return;
  }
  record(decision, decision.step(step, { ...ended, state: FAILED }), FAILED, logBytes);
  stirDependents(decision, step);
  const node = decision.state.nodes.get(step.node);
  if (node) decision.node(node, { reason: `${step.task}: ${reason}` }, event);
  const name = event === "silent" ? "NODE_LOST" : "STEP_FAILED";
  decision.event(Event_Severity.ERROR, subject, name, reason);
}

/** A forced stop has ended the attempt. */
export function cancelled(decision: Decision, step: Step, reason: string, logBytes = 0n): void {
  const ended = decision.step(step, {
    state: CANCELLED,
    reason,
    endTime: decision.now,
    deadlineTime: undefined,
    waitTime: undefined,
  });
  record(decision, ended, CANCELLED, logBytes);
  stirDependents(decision, step);
}

/** Has schedule() look at what requires a step, also by way of provisioning that has succeeded already. */
export function stirDependents(decision: Decision, step: Step): void {
  const { dependents } = planIndex(planOf(decision, step));
  const found = new Set(dependents.get(idOf(step)));
  // What is added while the loop runs is visited too.
  for (const id of found) {
    const other = decision.state.step(`${step.deployment}/${id}`);
    if (other?.state !== SUCCEEDED || !isProvisioning(other.task)) continue;
    for (const next of dependents.get(id) ?? []) found.add(next);
  }
  decision.stir(step.deployment, found);
}

/** Has schedule() look at all that the step's node has to do. */
function stirNode(decision: Decision, { deployment, node }: Step): void {
  const steps = decision.state.stepBook(deployment).ofNode(node).values();
  decision.stir(deployment, [...steps].filter(({ state }) => state === READY).map(idOf));
}

export function idOf({ node, task }: Step): string {
  return `${node}/${task}`;
}

function planOf(decision: Decision, step: Step) {
  return decision.state.deployments.get(step.deployment)?.plan;
}

/** What has not begun, such as a step whose node never came, is no attempt. */
function record(decision: Decision, step: Step, state: Step_State, logBytes: bigint): void {
  if (!step.startTime || !step.token) return;
  const { name: stepName, deployment, node, task, attempt, startTime, endTime, exitCode } = step;
  const value = create(AttemptSchema, {
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
    planHash: planOf(decision, step)?.hash ?? "",
    fence: step.fence,
    progress: step.progress,
    erasures: step.erasures,
  });
  decision.change(put({ case: "attempt", value }));
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
