// The words and tones of every state: one place, so that the CLI and the screens say the same.
import {
  type Deployment,
  Deployment_State,
  Purpose,
  type Step,
  Step_State,
} from "../proto/gen/muster/v1/deployment_pb.ts";
import { ImageKind } from "../proto/gen/muster/v1/image_pb.ts";
import {
  BootTarget,
  Environment,
  type Node,
  Node_State,
  PowerState,
} from "../proto/gen/muster/v1/node_pb.ts";
import { TaskOutcome } from "../proto/gen/muster/v1/step_pb.ts";
import { Event_Severity } from "../proto/gen/muster/v1/watch_pb.ts";

/** What a state means to the operator; the theme gives each a colour and a glyph. */
export type Tone = "ok" | "busy" | "warn" | "fail" | "idle" | "plain" | "dim" | "accent";

type Word = { word: string; tone: Tone };

const nodeStates: Record<Node_State, Word> = {
  [Node_State.UNSPECIFIED]: { word: "unknown", tone: "warn" },
  [Node_State.DISCOVERED]: { word: "discovered", tone: "idle" },
  [Node_State.AWAITING_APPROVAL]: { word: "awaiting approval", tone: "warn" },
  [Node_State.AVAILABLE]: { word: "available", tone: "ok" },
  [Node_State.RESERVED]: { word: "reserved", tone: "idle" },
  [Node_State.PROVISIONING]: { word: "provisioning", tone: "busy" },
  [Node_State.PROVISIONED]: { word: "provisioned", tone: "busy" },
  [Node_State.CONFIGURING]: { word: "configuring", tone: "busy" },
  [Node_State.READY]: { word: "ready", tone: "ok" },
  [Node_State.ERROR]: { word: "error", tone: "fail" },
  [Node_State.LOST]: { word: "lost", tone: "fail" },
  [Node_State.CLEANING]: { word: "cleaning", tone: "busy" },
  [Node_State.RELEASING]: { word: "releasing", tone: "busy" },
};

const stepStates: Record<Step_State, Word> = {
  [Step_State.UNSPECIFIED]: { word: "unknown", tone: "warn" },
  [Step_State.PENDING]: { word: "pending", tone: "idle" },
  [Step_State.RUNNING]: { word: "running", tone: "busy" },
  [Step_State.SUCCEEDED]: { word: "succeeded", tone: "ok" },
  [Step_State.FAILED]: { word: "failed", tone: "fail" },
  [Step_State.CANCELLED]: { word: "cancelled", tone: "warn" },
  [Step_State.UNKNOWN]: { word: "unknown", tone: "warn" },
  [Step_State.READY]: { word: "ready", tone: "idle" },
  [Step_State.SKIPPED]: { word: "skipped", tone: "dim" },
  [Step_State.BLOCKED]: { word: "blocked", tone: "warn" },
};

const deploymentStates: Record<Deployment_State, Word> = {
  [Deployment_State.UNSPECIFIED]: { word: "unknown", tone: "warn" },
  [Deployment_State.RUNNING]: { word: "running", tone: "busy" },
  [Deployment_State.SUCCEEDED]: { word: "succeeded", tone: "ok" },
  [Deployment_State.FAILED]: { word: "failed", tone: "fail" },
  [Deployment_State.STOPPING]: { word: "stopping", tone: "warn" },
  [Deployment_State.STOPPED]: { word: "stopped", tone: "warn" },
};

const severities: Record<Event_Severity, Word> = {
  [Event_Severity.UNSPECIFIED]: { word: "info", tone: "plain" },
  [Event_Severity.INFO]: { word: "info", tone: "plain" },
  [Event_Severity.WARNING]: { word: "warning", tone: "warn" },
  [Event_Severity.ERROR]: { word: "error", tone: "fail" },
};

const outcomes: Record<TaskOutcome, Word | undefined> = {
  [TaskOutcome.UNSPECIFIED]: undefined,
  [TaskOutcome.CHANGED]: { word: "changed", tone: "ok" },
  [TaskOutcome.OK]: { word: "ok", tone: "ok" },
  [TaskOutcome.SKIPPED]: { word: "skipped", tone: "dim" },
  [TaskOutcome.IGNORED]: { word: "ignored", tone: "warn" },
};

// A newer daemon may send a number that this table has not got.
const unknown: Word = { word: "unknown", tone: "warn" };

export const nodeState = (state: Node_State): Word => nodeStates[state] ?? unknown;
export const stepState = (state: Step_State): Word => stepStates[state] ?? unknown;
export const deploymentState = (state: Deployment_State): Word => deploymentStates[state] ?? unknown;
export const severity = (value: Event_Severity): Word => severities[value] ?? unknown;

/** How a step or attempt stands: by its outcome if it has one, which says more than that it succeeded. */
export function stepWord(
  { state, outcome }: { state: Step_State; outcome: TaskOutcome },
  run?: { purpose: Purpose },
): Word {
  if (state !== Step_State.SUCCEEDED) return stepState(state);
  if (outcome === TaskOutcome.CHANGED && isCheck(run)) return { word: "would change", tone: "accent" };
  return outcomes[outcome] ?? stepState(state);
}

/** It only asks what would change. */
export function isCheck(run: { purpose: Purpose } | undefined): boolean {
  return run?.purpose === Purpose.CHECK;
}

/** What a deployment is, if it is not the usual: "check of graph verify", "release". */
export function runText({ purpose, graph }: Deployment): string {
  const own = graph && graph !== "default" ? `graph ${graph}` : "";
  if (purpose === Purpose.RELEASE) return "release";
  if (purpose === Purpose.CHECK) return own ? `check of ${own}` : "check";
  return own;
}

/** A point at which steps of several nodes come together: it is on no node, and nobody waits for its work. */
export function isJoin({ node }: { node: string }): boolean {
  return node === "_";
}

export function powerWord(power: PowerState): string {
  if (power === PowerState.ON) return "on";
  return power === PowerState.OFF ? "off" : "unknown";
}

export function environmentWord(environment: Environment): string {
  if (environment === Environment.BOOTSTRAP) return "bootstrap ramdisk";
  return environment === Environment.INSTALLED ? "installed system" : "";
}

export function bootTargetWord(target: BootTarget): string {
  if (target === BootTarget.RAMDISK) return "ramdisk";
  return target === BootTarget.DISK ? "local disk" : "";
}

export function imageKind(kind: ImageKind): string {
  if (kind === ImageKind.FILESYSTEM) return "file system";
  if (kind === ImageKind.DISK) return "disk";
  return kind === ImageKind.TREE ? "tar" : "";
}

/** Whether a deployment has come to its end. */
export function hasEnded(state: Deployment_State): boolean {
  return (
    state === Deployment_State.SUCCEEDED ||
    state === Deployment_State.FAILED ||
    state === Deployment_State.STOPPED
  );
}

/** What an operator should look at: why, or undefined if all is well. */
export function needsYou(node: Node): string | undefined {
  if (node.state === Node_State.AWAITING_APPROVAL) {
    return node.approvalCode ? `awaits approval, code ${node.approvalCode}` : "awaits approval";
  }
  if (node.state === Node_State.LOST || node.state === Node_State.ERROR) {
    return `${nodeState(node.state).word}${node.reason ? `: ${node.reason}` : ""}`;
  }
  return faultText(node) || undefined;
}

/** What is wrong with a node's surroundings, in one line; empty if nothing is. */
export function faultText({ faults }: Node): string {
  return faults.map(({ message }) => message).join("; ");
}

/** What the operator has set on a node: "maintenance (new fan), protected". */
export function flagText(node: Node): string {
  const why = node.maintenanceReason ? ` (${node.maintenanceReason})` : "";
  const flags = [
    node.maintenance && `maintenance${why}`,
    node.protected && "protected",
    node.retired && "retired",
  ];
  return flags.filter(Boolean).join(", ");
}

/** A step whose turn has come once somebody says go. */
export function isHeld({ state, hold }: Step): boolean {
  return hold && (state === Step_State.PENDING || state === Step_State.READY);
}

type StepCounts = {
  total: number;
  pending: number;
  running: number;
  done: number;
  failed: number;
  cancelled: number;
  blocked: number;
  held: number;
  /** Of those that are done: what has changed something, and failures that are no matter. */
  changed: number;
  ignored: number;
};

/** Counts of the steps of one deployment, for a header or a summary. Joins are no work, and are not counted. */
export function countSteps(steps: Iterable<Step>): StepCounts {
  const counts: StepCounts = {
    total: 0,
    pending: 0,
    running: 0,
    done: 0,
    failed: 0,
    cancelled: 0,
    blocked: 0,
    held: 0,
    changed: 0,
    ignored: 0,
  };
  for (const step of steps) {
    if (isJoin(step)) continue;
    counts.total++;
    if (isHeld(step)) counts.held++;
    if (step.outcome === TaskOutcome.CHANGED) counts.changed++;
    if (step.outcome === TaskOutcome.IGNORED) counts.ignored++;
    counts[counted[step.state] ?? "failed"]++;
  }
  return counts;
}

const counted: Record<Step_State, keyof StepCounts> = {
  [Step_State.UNSPECIFIED]: "failed",
  [Step_State.PENDING]: "pending",
  [Step_State.READY]: "pending",
  [Step_State.RUNNING]: "running",
  [Step_State.UNKNOWN]: "running",
  [Step_State.SUCCEEDED]: "done",
  [Step_State.SKIPPED]: "done",
  [Step_State.FAILED]: "failed",
  [Step_State.CANCELLED]: "cancelled",
  [Step_State.BLOCKED]: "blocked",
};

/** "6 of 21 steps done, 2 changed, 1 failed, 4 blocked". */
export function countText(counts: StepCounts, run?: Deployment): string {
  const { done, total, failed, cancelled, blocked, held, changed, ignored } = counts;
  const parts = [`${done} of ${total} ${total === 1 ? "step" : "steps"} done`];
  if (changed) parts.push(`${changed} ${isCheck(run) ? "would change" : "changed"}`);
  if (ignored) parts.push(`${ignored} ignored`);
  if (failed) parts.push(`${failed} failed`);
  if (cancelled) parts.push(`${cancelled} cancelled`);
  if (blocked) parts.push(`${blocked} blocked`);
  if (held) parts.push(`${held} held`);
  return parts.join(", ");
}
