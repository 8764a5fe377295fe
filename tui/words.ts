// The words and tones of every state: one place, so that the CLI and the screens say the same.
import { Deployment_State, type Step, Step_State } from "../proto/gen/muster/v1/deployment_pb.ts";
import {
  BootTarget,
  Environment,
  type Node,
  Node_State,
  PowerState,
} from "../proto/gen/muster/v1/node_pb.ts";
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
};

const stepStates: Record<Step_State, Word> = {
  [Step_State.UNSPECIFIED]: { word: "unknown", tone: "warn" },
  [Step_State.PENDING]: { word: "pending", tone: "idle" },
  [Step_State.RUNNING]: { word: "running", tone: "busy" },
  [Step_State.SUCCEEDED]: { word: "succeeded", tone: "ok" },
  [Step_State.FAILED]: { word: "failed", tone: "fail" },
  [Step_State.CANCELLED]: { word: "cancelled", tone: "warn" },
  [Step_State.UNKNOWN]: { word: "unknown", tone: "warn" },
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

// A newer daemon may send a number that this table has not got.
const unknown: Word = { word: "unknown", tone: "warn" };

export const nodeState = (state: Node_State): Word => nodeStates[state] ?? unknown;
export const stepState = (state: Step_State): Word => stepStates[state] ?? unknown;
export const deploymentState = (state: Deployment_State): Word => deploymentStates[state] ?? unknown;
export const severity = (value: Event_Severity): Word => severities[value] ?? unknown;

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
  return node.fault || undefined;
}

/** Counts of the steps of one deployment, for a header or a summary. */
export function countSteps(steps: Iterable<Step>): {
  total: number;
  pending: number;
  running: number;
  done: number;
  failed: number;
} {
  const counts = { total: 0, pending: 0, running: 0, done: 0, failed: 0 };
  for (const { state } of steps) {
    counts.total++;
    if (state === Step_State.SUCCEEDED) counts.done++;
    else if (state === Step_State.RUNNING || state === Step_State.UNKNOWN) counts.running++;
    else if (state === Step_State.PENDING) counts.pending++;
    else counts.failed++;
  }
  return counts;
}
