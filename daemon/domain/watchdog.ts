// What time does: deadlines, silence, retries that are due, and what a daemon finds that was away for a while.
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, Fault_Kind, type Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { awaitsBoot, fail, idOf, plannedStep, succeed } from "./attempt.ts";
import { deadlineMs, longestWaitMs, timeoutMs } from "./attempt-times.ts";
import type { Decision } from "./decision.ts";
import { activeSteps } from "./report.ts";
import { isRunning, schedule, stirAll } from "./schedule.ts";
import { isActive } from "./step-book.ts";

const { UNKNOWN } = Step_State;

/**
 * No word from an agent for so long after its session has ended, in the middle of a step: the node is lost. A slow
 * machine may need more than a minute to come back; one that is read to be off is not waited for.
 */
const silenceLimitMs = 180_000;
/** How long a step waits for its node to be switched on and to boot. */
const absenceLimitMs = 15 * 60_000;
/** The agent of a machine whose power was cut is late by then. */
const sessionEndsMs = 20_000;
/** What an attempt gets at least after the daemon was away: its agent may have much to tell. */
const graceMs = 120_000;
/** Answers to requests with an id are kept so long, and so many. */
const requestLifeMs = 24 * 3_600_000;
const requestLimit = 10_000;

/** Time has passed. */
export function tick(decision: Decision): void {
  for (const deployment of decision.state.deployments.values()) {
    if (!isRunning(deployment)) continue;
    for (const step of decision.state.stepBook(deployment.name).live()) {
      const node = decision.state.nodes.get(step.node);
      if (node && isActive(step)) watchOver(decision, node, step);
      else if (node && step.waitTime) waitFor(decision, node, step, timestampMs(step.waitTime));
      else decision.stir(deployment.name, [idOf(step)]);
    }
    decision.stir(deployment.name, []);
  }
  forgetRequests(decision);
  schedule(decision);
}

function watchOver(decision: Decision, node: Node, step: Step): void {
  const lateMs = step.deadlineTime ? decision.nowMs - timestampMs(step.deadlineTime) : 0;
  // A node in maintenance may be switched off and on; only its agent's word counts.
  if (node.maintenance) return;
  if (lateMs > 0) {
    overdue(decision, node, step);
  } else if (step.task === "bootstrap" && hasStayed(decision, node, step)) {
    succeed(decision, step, "in the ramdisk");
  } else if (step.state === UNKNOWN) {
    const seenMs = node.lastSeenTime ? timestampMs(node.lastSeenTime) : decision.nowMs;
    if (!node.online && decision.nowMs > seenMs + silenceLimitMs) lose(decision, node, step);
    else decision.effect({ do: "readPower", node: node.name });
  }
}

/** The agent spoke before the driver was done, and is still there: the machine had booted faster. */
function hasStayed(decision: Decision, node: Node, step: Step): boolean {
  if (!step.result || !node.online || node.environment !== Environment.BOOTSTRAP) return false;
  if (node.faults.some(({ kind }) => kind === Fault_Kind.LATE)) return false;
  return !!node.lastSeenTime && decision.nowMs > timestampMs(node.lastSeenTime) + sessionEndsMs;
}

/** A step could start, but its node is not there: what is off is switched on, but nothing waits for ever. */
function waitFor(decision: Decision, node: Node, step: Step, sinceMs: number): void {
  if (node.maintenance || step.hold) {
    decision.stir(step.deployment, [idOf(step)]);
  } else if (decision.nowMs > sinceMs + absenceLimitMs) {
    const waited = `${absenceLimitMs / 60_000} minutes`;
    const reason = `lost: ${node.name}'s agent was not there for ${waited}; see its console and power, then retry`;
    fail(decision, step, reason, "silent");
  } else {
    decision.effect({ do: "readPower", node: node.name });
  }
}

function overdue(decision: Decision, node: Node, step: Step): void {
  const limit = `${timeoutMs(plannedStep(decision, step)) / 1000} s`;
  decision.effect({ do: "cancel", node: node.name, token: step.token });
  if (step.task === "bootstrap") {
    fail(decision, step, `${node.name} did not come up in the ramdisk within ${limit}: see its console`);
  } else if (awaitsBoot(decision, step)) {
    fail(decision, step, `${node.name}'s installed system did not come up within ${limit}: see its console`);
  } else {
    fail(decision, step, `took longer than ${limit}`);
  }
}

function lose(decision: Decision, node: Node, step: Step): void {
  const reason = `lost: no word from ${node.name}'s agent for ${silenceLimitMs / 1000} s; see its console and power, then retry`;
  fail(decision, step, reason, "silent");
}

/** The daemon has started: nobody is connected, and whatever ran may or may not still run. */
export function restarted(decision: Decision): void {
  for (const node of decision.state.nodes.values()) {
    const steps = activeSteps(decision, node.name);
    // Nobody could speak to a daemon that was away: silence counts from now.
    if (node.online || steps.length) decision.node(node, { online: false, lastSeenTime: decision.now });
    for (const step of steps) doubtAfterRestart(decision, step);
  }
  for (const step of liveSteps(decision)) {
    // Whatever its clock did meanwhile: nothing waits longer than it would anew.
    if (step.waitTime) decision.step(step, { waitTime: decision.now });
    const latestMs = decision.nowMs + longestWaitMs(plannedStep(decision, step));
    if (step.nextAttemptTime && timestampMs(step.nextAttemptTime) > latestMs)
      decision.step(step, { nextAttemptTime: timestampFromMs(latestMs) });
  }
  stirAll(decision);
  schedule(decision);
}

function doubtAfterRestart(decision: Decision, step: Step): void {
  // However long the daemon was away and whatever its clock did: never overdue at once, never much later.
  const latestMs = deadlineMs(plannedStep(decision, step), decision.nowMs);
  const before = step.deadlineTime ? timestampMs(step.deadlineTime) : latestMs;
  const deadline = Math.min(
    Math.max(before, decision.nowMs + graceMs),
    Math.max(latestMs, decision.nowMs + graceMs),
  );
  const deadlineTime = timestampFromMs(deadline);
  if (step.task === "bootstrap") {
    decision.step(step, { deadlineTime });
    // Unless it was carried out, the effect may have been lost with the old process.
    const { name, token, node } = step;
    if (!step.result) decision.effect({ do: "bootRamdisk", step: name, token, node });
  } else if (awaitsBoot(decision, step)) {
    decision.step(step, { deadlineTime });
  } else {
    const reason = "the daemon was restarted; waiting for the agent to speak";
    decision.step(step, { state: UNKNOWN, reason, deadlineTime });
  }
}

/** The daemon's clock was set by so much while it ran: what is measured from a time in the past moves along. */
export function clockJumped(decision: Decision, jumpMs: number): void {
  const moved = (time: Step["startTime"]) => time && timestampFromMs(timestampMs(time) + jumpMs);
  for (const step of liveSteps(decision)) {
    const { startTime, deadlineTime, waitTime, nextAttemptTime } = step;
    decision.step(step, {
      startTime: moved(startTime),
      deadlineTime: moved(deadlineTime),
      waitTime: moved(waitTime),
      nextAttemptTime: moved(nextAttemptTime),
    });
  }
  for (const node of decision.state.nodes.values()) {
    if (node.lastSeenTime) decision.node(node, { lastSeenTime: moved(node.lastSeenTime) });
  }
}

function liveSteps({ state }: Decision): Step[] {
  const running = [...state.deployments.values()].filter(isRunning);
  return running.flatMap(({ name }) => state.stepBook(name).live());
}

function forgetRequests(decision: Decision): void {
  const { requests } = decision.state;
  let excess = requests.size - requestLimit;
  for (const { requestId, time } of [...requests.values()]) {
    const old = time && decision.nowMs - timestampMs(time) > requestLifeMs;
    // They are in order of time: the first that stays ends the search.
    if (!old && excess <= 0) return;
    excess--;
    decision.change({ forgetRequest: requestId });
  }
}
