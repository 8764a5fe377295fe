// What agents, drivers and the clock report, compared with what should be. Every (re)connect of an agent is
// such a comparison, so no lost message matters.
import { equals } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Hello,
  StepResult_Outcome as Outcome,
  type StepResult,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { type Deployment, type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type Inventory, InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import {
  Environment,
  Fault_Kind,
  type InstalledSystem,
  type Node,
  PowerState,
} from "../../proto/gen/muster/v1/node_pb.ts";
import { type RebootStep, TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { awaitsBoot, cancelled, changesNodes, fail, idOf, plannedStep, succeed } from "./attempt.ts";
import type { Decision } from "./decision.ts";
import { schedule, stirNode } from "./schedule.ts";
import { isActive } from "./step-book.ts";

const { PENDING, RUNNING, SUCCEEDED, UNKNOWN } = Step_State;

/** Certificates and timestamps suffer from clocks that are further off. */
const clockToleranceMs = 60_000;

/** An agent has opened a session. */
export function hello(decision: Decision, node: Node, message: Hello): void {
  const { environment, bootId, agentVersion, installed, address } = message;
  const rebooted = node.bootId !== "" && node.bootId !== bootId;
  const now = faultsOf(
    decision,
    decision.node(node, {
      online: true,
      environment,
      bootId,
      agentVersion,
      address,
      installed: installed ?? (environment === Environment.BOOTSTRAP ? node.installed : undefined),
      lastSeenTime: decision.now,
      power: PowerState.ON,
    }),
    message,
  );
  const where = environment === Environment.BOOTSTRAP ? "the ramdisk" : "the installed system";
  decision.event(Event_Severity.INFO, `node/${node.name}`, "AGENT_CONNECTED", `from ${where} at ${address}`);
  for (const outcome of message.finished) settle(decision, node.name, outcome);
  for (const step of activeSteps(decision, node.name)) reconcile(decision, now, step, message, rebooted);
  if (rebooted && environment === Environment.BOOTSTRAP) forgetIdentity(decision, node);
  const wanted = new Set(activeSteps(decision, node.name).map(({ token }) => token));
  for (const token of message.running) {
    if (!wanted.has(token)) decision.effect({ do: "cancel", node: node.name, token });
  }
  stirNode(decision, now);
  schedule(decision);
}

/** What a hello shows to be wrong, or right again. */
function faultsOf(decision: Decision, node: Node, { clock, highestFence }: Hello): Node {
  let now = decision.noFault(decision.noFault(node, Fault_Kind.POWER), Fault_Kind.LATE);
  const offMs = clock ? timestampMs(clock) - decision.nowMs : 0;
  now =
    Math.abs(offMs) > clockToleranceMs
      ? decision.fault(
          now,
          Fault_Kind.CLOCK,
          `its clock is ${Math.round(offMs / 1000)} s off the daemon's: set it`,
        )
      : decision.noFault(now, Fault_Kind.CLOCK);
  if (highestFence < decision.revision) return decision.noFault(now, Fault_Kind.STATE_ROLLED_BACK);
  const known = now.faults.some(({ kind }) => kind === Fault_Kind.STATE_ROLLED_BACK);
  const message =
    `its agent has been given work at revision ${highestFence}, this daemon's state ends at ${decision.revision - 1n}: ` +
    "changes are lost; restore a backup with `muster restore`, which also keeps old work from being mistaken for new";
  if (!known) decision.event(Event_Severity.ERROR, `node/${node.name}`, "STATE_ROLLED_BACK", message);
  return decision.fault(now, Fault_Kind.STATE_ROLLED_BACK, known ? faultText(now) : message);
}

function faultText({ faults }: Node): string {
  return faults.find(({ kind }) => kind === Fault_Kind.STATE_ROLLED_BACK)?.message ?? "";
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
    if (!stale || step.state !== SUCCEEDED) continue;
    const reason = "the ramdisk was started anew";
    decision.step(step, { state: PENDING, reason, startTime: undefined, endTime: undefined });
    decision.change({ delete: `taskRecord/${idOf(step)}` });
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
  } else if (rebooted && awaitsBoot(decision, step)) {
    const { changes, facts } = step;
    if (inRamdisk)
      fail(decision, step, `${node.name} came back in the ramdisk, not from its disk: see its console`);
    else succeed(decision, step, `up again, boot ${message.bootId.slice(0, 8)}`, { changes, facts });
  } else if (rebooted) {
    fail(decision, step, `${node.name} was restarted while the step ran`);
  } else if (decision.state.deployments.get(step.deployment)?.forced) {
    decision.effect({ do: "cancel", node: node.name, token: step.token });
  } else if (message.running.includes(step.token)) {
    known(decision, step);
  } else {
    // The agent never got it, or its answer is on the way: the token tells it which.
    known(decision, step);
    decision.effect({ do: "assign", step: step.name });
  }
}

function known(decision: Decision, step: Step): void {
  if (step.state === UNKNOWN) decision.step(step, { state: RUNNING, reason: "" });
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
  // Every session begins with it, and it hardly ever changes: thousands of nodes come back at once.
  if (node.inventory && equals(InventorySchema, node.inventory, report)) return;
  // The installed system sees the same hardware; its disks are in use, and what is on them is known.
  decision.node(node, { inventory: report, lastSeenTime: decision.now });
}

/** The outcome of an attempt. One that is not awaited any more is only acknowledged. */
export function result(decision: Decision, node: string, outcome: StepResult): void {
  settle(decision, node, outcome);
  schedule(decision);
}

function settle(decision: Decision, node: string, outcome: StepResult): void {
  decision.effect({ do: "acknowledge", node, token: outcome.token });
  const awaited = activeSteps(decision, node).find(({ token }) => token === outcome.token);
  // A token may come again after a restore; its fence does not.
  if (!awaited || (outcome.fence && outcome.fence !== awaited.fence)) return;
  const { reason, exitCode, logBytes, erasures, taskOutcome, facts, changes } = outcome;
  const step = erasures.length ? decision.step(awaited, { erasures }) : awaited;
  if (outcome.outcome === Outcome.SUCCEEDED) {
    if (!hasOnlyBegun(decision, step, taskOutcome))
      succeed(decision, step, outcome.result, { outcome: taskOutcome, facts, changes, logBytes });
    // The next hello decides.
    else if (changes.length || facts) decision.step(step, { facts, changes });
    return;
  }
  const exit = decision.step(step, { exitCode, facts, changes });
  if (outcome.outcome === Outcome.CANCELLED && decision.state.deployments.get(step.deployment)?.forced) {
    cancelled(decision, exit, reason || "cancelled", logBytes);
  } else {
    fail(decision, exit, reason || "the agent gave no reason", "failed", logBytes);
  }
}

/** A reboot that the agent has begun; a task that reboots says so if there was no need to, and in a check. */
function hasOnlyBegun(decision: Decision, step: Step, outcome: TaskOutcome): boolean {
  if (step.task === "reboot") return true;
  const isCheck = !changesNodes(decision.state.deployments.get(step.deployment)?.plan);
  return awaitsBoot(decision, step) && outcome !== TaskOutcome.OK && !isCheck;
}

/** The session of an agent has ended. */
export function gone(decision: Decision, node: Node): void {
  const offline = decision.noFault(node, Fault_Kind.LATE);
  decision.node(offline, { online: false, lastSeenTime: decision.now });
  decision.event(Event_Severity.INFO, `node/${node.name}`, "AGENT_DISCONNECTED", "its session has ended");
  doubt(decision, node, `${node.name}'s agent is silent; waiting for it to come back`);
}

/** An agent has a session, but has missed its heartbeats: it may be slow, or its machine may be off. */
export function late(decision: Decision, node: Node): void {
  decision.fault(
    node,
    Fault_Kind.LATE,
    "its heartbeats are late: it is slow, or its network or its power is gone",
  );
  doubt(decision, node, `${node.name}'s agent is late; waiting for its word`);
}

/** An agent that was late has spoken. */
export function heard(decision: Decision, node: Node): void {
  // Meanwhile it may have been read to be off.
  const now = decision.node(decision.noFault(node, Fault_Kind.LATE), { online: true });
  for (const step of activeSteps(decision, node.name)) known(decision, step);
  stirNode(decision, now);
  schedule(decision);
}

/** Nobody knows what its agent is doing until it speaks; whether the machine is on at least can be read. */
function doubt(decision: Decision, node: Node, reason: string): void {
  for (const step of activeSteps(decision, node.name)) {
    if (step.task === "bootstrap" || awaitsBoot(decision, step)) continue;
    decision.step(step, { state: UNKNOWN, reason });
    decision.effect({ do: "readPower", node: node.name });
  }
}

export function activeSteps(decision: Decision, node: string): Step[] {
  const deployment = newestOf(decision, node);
  return deployment ? decision.state.stepBook(deployment.name).liveOf(node).filter(isActive) : [];
}

/** Its steps in the newest deployment of its cluster. */
function newestSteps(decision: Decision, node: string): Step[] {
  const deployment = newestOf(decision, node);
  return deployment ? [...decision.state.stepBook(deployment.name).ofNode(node).values()] : [];
}

function newestOf({ state }: Decision, node: string): Deployment | undefined {
  return state.deployment(state.nodes.get(node)?.cluster ?? "");
}
