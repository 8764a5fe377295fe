// What agents, drivers and the clock report, compared with what should be. Every (re)connect of an agent is
// such a comparison, so no lost message matters.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Hello,
  StepResult_Outcome as Outcome,
  type StepResult,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Inventory } from "../../proto/gen/muster/v1/inventory_pb.ts";
import {
  BootTarget,
  Environment,
  type InstalledSystem,
  type Node,
  PowerState,
} from "../../proto/gen/muster/v1/node_pb.ts";
import type { RebootStep } from "../../proto/gen/muster/v1/step_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Decision } from "./decision.ts";
import { fail, isActive, plannedStep, schedule, succeed, waitingForNode } from "./schedule.ts";

const { PENDING, RUNNING, SUCCEEDED, UNKNOWN } = Step_State;

/** No word from an agent for so long, in the middle of a step: the node is lost. */
const silenceLimitMs = 60_000;
/** What the engine adds to a step's timeout before it stops to wait for the agent's own word. */
const deadlineSlackMs = 30_000;
/** How long a step waits for its node to be switched on and to boot. */
const absenceLimitMs = 15 * 60_000;
/** The session of a machine whose power was cut has ended by then. */
const sessionEndsMs = 20_000;

/** An agent has opened a session. */
export function hello(decision: Decision, node: Node, message: Hello): void {
  const { environment, bootId, agentVersion, installed, address } = message;
  const rebooted = node.bootId !== "" && node.bootId !== bootId;
  const now = decision.node(node, {
    online: true,
    environment,
    bootId,
    agentVersion,
    address,
    installed: installed ?? (environment === Environment.BOOTSTRAP ? node.installed : undefined),
    lastSeenTime: decision.now,
    power: PowerState.ON,
    fault: "",
  });
  const where = environment === Environment.BOOTSTRAP ? "the ramdisk" : "the installed system";
  decision.event(Event_Severity.INFO, `node/${node.name}`, "AGENT_CONNECTED", `from ${where} at ${address}`);
  for (const outcome of message.finished) result(decision, node.name, outcome, false);
  for (const step of activeSteps(decision, node.name)) reconcile(decision, now, step, message, rebooted);
  if (rebooted && environment === Environment.BOOTSTRAP) forgetIdentity(decision, node);
  const wanted = new Set(activeSteps(decision, node.name).map(({ token }) => token));
  for (const token of message.running) {
    if (!wanted.has(token)) decision.effect({ do: "cancel", node: node.name, token });
  }
  schedule(decision);
}

/**
 * A ramdisk that has been started anew has a new key, and the daemon knows the node by that one: what an earlier
 * boot has written to the disk is no use any more. The bootloader step leaves the disks ready for a reboot.
 */
function forgetIdentity(decision: Decision, node: Node): void {
  const steps = newestSteps(decision, node.name);
  if (steps.some(({ task, state }) => task === "reboot" && state === SUCCEEDED)) return;
  for (const step of steps) {
    const stale = step.task === "seed" || step.task === "bootloader";
    if (stale && step.state === SUCCEEDED) {
      decision.step(step, {
        state: PENDING,
        reason: "the ramdisk was started anew",
        startTime: undefined,
        endTime: undefined,
      });
    }
  }
}

function reconcile(decision: Decision, node: Node, step: Step, message: Hello, rebooted: boolean): void {
  const inRamdisk = message.environment === Environment.BOOTSTRAP;
  if (step.task === "bootstrap") {
    // A driver that has not done its part is about to cut the power: this boot will not last.
    const stays = !node.spec?.power || step.result !== "";
    if (inRamdisk && stays) succeed(decision, step, `in the ramdisk, boot ${message.bootId.slice(0, 8)}`);
  } else if (step.task === "reboot" && rebooted) {
    const wanted = plannedStep(decision, step)?.action?.kind;
    const proof = inRamdisk
      ? `${node.name} came back in the ramdisk, not from its disk: see its console, then retry`
      : wanted?.case === "reboot" && message.installed
        ? mismatch(wanted.value, message.installed)
        : "the agent did not say what it runs on";
    if (proof) fail(decision, step, proof);
    else succeed(decision, step, describe(message.installed));
  } else if (rebooted) {
    fail(decision, step, `${node.name} was restarted while the step ran`);
  } else if (message.running.includes(step.token)) {
    if (step.state === UNKNOWN) decision.step(step, { state: RUNNING, reason: "" });
  } else {
    // The agent never got it, or its answer is on the way: the token tells it which.
    decision.step(step, { state: RUNNING, reason: "" });
    decision.effect({ do: "assign", step: step.name });
  }
}

/** What the installed system shows that is not as the plan wants it, or nothing. */
function mismatch(wanted: RebootStep, found: InstalledSystem): string {
  const faults: string[] = [];
  const compare = (what: string, expected: string, shown: string) => {
    if (expected && expected !== shown) faults.push(`${what} is ${shown || "unknown"}, expected ${expected}`);
  };
  compare("its host name", wanted.hostname, found.hostname);
  compare("its root device", wanted.rootDevice, found.rootDevice);
  compare("its image", wanted.imageDigest, found.imageDigest);
  return faults.join("; ");
}

function describe(installed: InstalledSystem | undefined): string {
  return [`${installed?.hostname} runs from ${installed?.rootDevice}`, ...(installed?.arrays ?? [])].join(
    ", ",
  );
}

export function inventory(decision: Decision, node: Node, report: Inventory): void {
  // The installed system sees the same hardware; its disks are in use, and what is on them is known.
  decision.node(node, { inventory: report, lastSeenTime: decision.now });
  schedule(decision);
}

/** The outcome of an attempt. One that is not awaited any more is only acknowledged. */
export function result(decision: Decision, node: string, outcome: StepResult, andSchedule = true): void {
  decision.effect({ do: "acknowledge", node, token: outcome.token });
  const step = activeSteps(decision, node).find(({ token }) => token === outcome.token);
  if (!step) return;
  if (outcome.outcome !== Outcome.SUCCEEDED) {
    const exit = decision.step(step, { exitCode: outcome.exitCode });
    fail(decision, exit, outcome.reason || "the agent gave no reason");
  } else if (step.task !== "reboot") {
    succeed(decision, step, outcome.result);
  }
  // A reboot that has only begun: the next hello decides.
  if (andSchedule) schedule(decision);
}

/** The session of an agent has ended or fallen silent. */
export function gone(decision: Decision, node: Node): void {
  decision.node(node, { online: false, lastSeenTime: decision.now });
  decision.event(Event_Severity.INFO, `node/${node.name}`, "AGENT_DISCONNECTED", "its session has ended");
  for (const step of activeSteps(decision, node.name)) {
    if (step.task === "bootstrap" || step.task === "reboot") continue;
    const reason = `${node.name}'s agent is silent; waiting for it to come back`;
    decision.step(step, { state: UNKNOWN, reason });
    decision.effect({ do: "readPower", node: node.name });
  }
}

/** The daemon has started: nobody is connected, and whatever ran may or may not still run. */
export function restarted(decision: Decision): void {
  for (const node of decision.state.nodes.values()) {
    const steps = activeSteps(decision, node.name);
    // Nobody could speak to a daemon that was away: silence counts from now.
    if (node.online || steps.length) decision.node(node, { online: false, lastSeenTime: decision.now });
    for (const step of steps) {
      if (step.task === "bootstrap") {
        // Unless it was carried out, the effect may have been lost with the old process.
        if (!step.result) decision.effect({ do: "bootRamdisk", step: step.name, node: node.name });
      } else if (step.task !== "reboot") {
        const reason = "the daemon was restarted; waiting for the agent to speak";
        decision.step(step, { state: UNKNOWN, reason });
      }
    }
  }
  schedule(decision);
}

/** Time has passed: deadlines, silence, retries that are due. */
export function tick(decision: Decision): void {
  for (const node of decision.state.nodes.values()) {
    for (const step of activeSteps(decision, node.name)) {
      const timeoutMs = Number(plannedStep(decision, step)?.timeout?.seconds ?? 0n) * 1000;
      const startMs = step.startTime ? timestampMs(step.startTime) : decision.nowMs;
      if (decision.nowMs > startMs + timeoutMs + deadlineSlackMs) {
        overdue(decision, node, step, timeoutMs);
      } else if (step.task === "bootstrap" && hasStayed(decision, node, step)) {
        succeed(decision, step, "in the ramdisk");
      } else if (step.state === UNKNOWN) {
        const seenMs = node.lastSeenTime ? timestampMs(node.lastSeenTime) : startMs;
        if (decision.nowMs > seenMs + silenceLimitMs) lose(decision, node, step);
        else decision.effect({ do: "readPower", node: node.name });
      }
    }
  }
  for (const deployment of decision.state.deployments.values()) {
    for (const { step, node } of waitingForNode(decision, deployment)) waitFor(decision, node, step);
  }
  schedule(decision);
}

/** The agent spoke before the driver was done, and is still there: the machine had booted faster. */
function hasStayed(decision: Decision, node: Node, step: Step): boolean {
  if (!step.result || !node.online || node.environment !== Environment.BOOTSTRAP) return false;
  return !!node.lastSeenTime && decision.nowMs > timestampMs(node.lastSeenTime) + sessionEndsMs;
}

/** A step could start, but its node is not there: what is off is switched on, but nothing waits for ever. */
function waitFor(decision: Decision, node: Node, step: Step): void {
  if (!step.startTime || step.endTime) {
    const reason = `waits for ${node.name}'s agent: see the node's power and console`;
    decision.step(step, { reason, startTime: decision.now, endTime: undefined });
  } else if (decision.nowMs > timestampMs(step.startTime) + absenceLimitMs) {
    const waited = `${absenceLimitMs / 60_000} minutes`;
    const reason = `lost: ${node.name}'s agent was not there for ${waited}; see its console and power, then retry`;
    fail(decision, step, reason, "silent");
    return;
  }
  decision.effect({ do: "readPower", node: node.name });
}

function overdue(decision: Decision, node: Node, step: Step, timeoutMs: number): void {
  const limit = `${timeoutMs / 1000} s`;
  decision.effect({ do: "cancel", node: node.name, token: step.token });
  if (step.task === "bootstrap") {
    fail(decision, step, `${node.name} did not come up in the ramdisk within ${limit}: see its console`);
  } else if (step.task === "reboot") {
    fail(decision, step, `${node.name}'s installed system did not come up within ${limit}: see its console`);
  } else {
    fail(decision, step, `took longer than ${limit}`);
  }
}

function lose(decision: Decision, node: Node, step: Step): void {
  const reason = `lost: no word from ${node.name}'s agent for ${silenceLimitMs / 1000} s; see its console and power, then retry`;
  fail(decision, step, reason, "silent");
}

/** The driver has read whether a node is on; in the middle of a step, off is a fact that ends it. */
export function powerRead(decision: Decision, node: Node, power: PowerState): void {
  if (node.power !== power) decision.node(node, { power });
  if (power !== PowerState.OFF) return;
  const deployment = decision.state.deployment(node.cluster);
  const waiting = deployment ? waitingForNode(decision, deployment) : [];
  if (waiting.some((wanted) => wanted.node.name === node.name)) {
    decision.effect({ do: "powerOn", node: node.name });
  }
  for (const step of activeSteps(decision, node.name)) {
    if (step.state !== UNKNOWN) continue;
    fail(
      decision,
      step,
      `lost: ${node.name} is switched off (read back from its power driver); retry switches it on`,
      "silent",
    );
  }
  schedule(decision);
}

/** The driver has done, or could not do, what a step asked of it. */
export function powerDone(decision: Decision, stepName: string, error: string): void {
  const step = decision.state.step(stepName);
  if (!step || !isActive(step)) return;
  const node = decision.state.nodes.get(step.node);
  if (!error) {
    if (step.task === "bootstrap") decision.step(step, { result: "switched on to boot from the network" });
    if (node) decision.node(node, { power: PowerState.ON, fault: "", lastSeenTime: decision.now });
    return;
  }
  if (node)
    decision.node(node, {
      fault: error,
      bootTarget: step.task === "reboot" ? BootTarget.RAMDISK : node.bootTarget,
    });
  fail(decision, step, error);
  schedule(decision);
}

function activeSteps(decision: Decision, node: string): Step[] {
  return newestSteps(decision, node).filter(isActive);
}

/** Its steps in the newest deployment of its cluster. */
function newestSteps(decision: Decision, node: string): Step[] {
  const deployment = decision.state.deployment(decision.state.nodes.get(node)?.cluster ?? "");
  if (!deployment) return [];
  return decision.state.steps(deployment.name).filter((step) => step.node === node);
}
