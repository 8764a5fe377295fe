// The table of keys: what each does, where, and why it cannot be used now. It feeds the dispatch, the footer
// and the help. F-keys are not bound: Ink cannot tell them apart.
import type { Key } from "ink";
import { Deployment_State } from "../proto/gen/muster/v1/deployment_pb.ts";
import { Node_State } from "../proto/gen/muster/v1/node_pb.ts";
import { deploymentOf, stepsOf, type World } from "./model.ts";
import type { Target } from "./screens/lines.ts";
import { hasEnded, isHeld, nodeState } from "./words.ts";

export type ScreenName =
  | "overview"
  | "nodes"
  | "deployments"
  | "images"
  | "events"
  | "logs"
  | "node"
  | "deployment"
  | "image"
  | "log"
  | "plan"
  | "help";

export type Command =
  | `go-${"overview" | "nodes" | "deployments" | "images" | "events" | "logs"}`
  | "down"
  | "up"
  | "page-down"
  | "page-up"
  | "top"
  | "bottom"
  | "open"
  | "back"
  | "filter"
  | "follow"
  | "approve"
  | "deploy"
  | "check"
  | "retry"
  | "go"
  | "stop"
  | "log"
  | "help"
  | "quit"
  | "interrupt";

/** Where a key was pressed. */
export type Place = { screen: ScreenName; target: Target | undefined; world: World };

export type Binding = {
  command: Command;
  keys: string[];
  /** How the keys are written; the first key if absent. */
  shown?: string;
  label: string;
  group: "screens" | "moving" | "doing";
  /** Shown in the footer, in the order of the table, as far as there is room. */
  footer?: boolean;
  /** Why it cannot be used here; empty if it can. */
  refusal?: (place: Place) => string;
};

export const keymap: Binding[] = [
  { command: "go-overview", keys: ["1"], label: "overview", group: "screens" },
  { command: "go-nodes", keys: ["2"], label: "nodes", group: "screens" },
  { command: "go-deployments", keys: ["3"], label: "deployments", group: "screens" },
  { command: "go-images", keys: ["4"], label: "images", group: "screens" },
  { command: "go-events", keys: ["5"], label: "events", group: "screens" },
  { command: "go-logs", keys: ["6"], label: "logs", group: "screens" },
  {
    command: "open",
    keys: ["enter"],
    shown: "Enter",
    label: "open",
    group: "moving",
    footer: true,
    refusal: openRefusal,
  },
  {
    command: "back",
    keys: ["esc"],
    shown: "Esc",
    label: "back",
    group: "moving",
    footer: true,
    refusal: backRefusal,
  },
  { command: "down", keys: ["j", "down"], shown: "j ↓", label: "down", group: "moving" },
  { command: "up", keys: ["k", "up"], shown: "k ↑", label: "up", group: "moving" },
  {
    command: "page-down",
    keys: ["pagedown", "ctrl-d", " "],
    shown: "PgDn Ctrl-D",
    label: "a page down",
    group: "moving",
  },
  {
    command: "page-up",
    keys: ["pageup", "ctrl-u"],
    shown: "PgUp Ctrl-U",
    label: "a page up",
    group: "moving",
  },
  { command: "top", keys: ["g", "home"], shown: "g Home", label: "to the top", group: "moving" },
  { command: "bottom", keys: ["G", "end"], shown: "G End", label: "to the end", group: "moving" },
  {
    command: "approve",
    keys: ["a"],
    label: "approve",
    group: "doing",
    footer: true,
    refusal: approveRefusal,
  },
  { command: "deploy", keys: ["D"], label: "deploy", group: "doing", footer: true, refusal: deployRefusal },
  { command: "check", keys: ["N"], label: "what would change", group: "doing", refusal: deployRefusal },
  { command: "retry", keys: ["r"], label: "retry", group: "doing", footer: true, refusal: retryRefusal },
  { command: "go", keys: ["c"], label: "go", group: "doing", footer: true, refusal: goRefusal },
  { command: "stop", keys: ["x"], label: "stop", group: "doing", footer: true, refusal: stopRefusal },
  { command: "log", keys: ["l"], label: "log", group: "doing", footer: true, refusal: logRefusal },
  { command: "follow", keys: ["f"], label: "follow", group: "doing", footer: true, refusal: followRefusal },
  { command: "filter", keys: ["/"], label: "filter", group: "moving", footer: true },
  { command: "help", keys: ["?"], label: "help", group: "screens", footer: true },
  { command: "quit", keys: ["q"], label: "quit", group: "screens", footer: true },
  { command: "interrupt", keys: ["ctrl-c"], shown: "Ctrl-C", label: "quit at once", group: "screens" },
];

export function bindingOf(key: string): Binding | undefined {
  return keymap.find(({ keys }) => keys.includes(key));
}

export function keyName({ shown, keys }: Binding): string {
  return shown ?? keys[0] ?? "";
}

const controlKeys: Record<string, string> = {
  "\r": "enter",
  "\n": "enter",
  "\u001b": "esc",
  "\u007f": "backspace",
  "\b": "backspace",
};

/** The keys of one input of Ink: named keys, or every character of what may be several keys typed fast. */
export function keysOf(input: string, key: Partial<Key>): string[] {
  if (key.downArrow) return ["down"];
  if (key.upArrow) return ["up"];
  if (key.pageDown) return ["pagedown"];
  if (key.pageUp) return ["pageup"];
  if (key.home) return ["home"];
  if (key.end) return ["end"];
  if (key.return) return ["enter"];
  if (key.escape) return ["esc"];
  if (key.backspace || key.delete) return ["backspace"];
  if (key.ctrl) return input ? [`ctrl-${input}`] : [];
  if (key.meta || key.tab) return [];
  return [...input].flatMap((char) => controlKeys[char] ?? (char >= " " ? [char] : []));
}

/** The deployment that a target belongs to. */
export function deploymentFor(world: World, target: Target | undefined) {
  if (!target) return undefined;
  if (target.kind === "deployment") return world.deployments.get(target.name);
  if (target.kind === "step") return world.deployments.get(target.name.split("/")[0] ?? "");
  const name = target.kind === "node" ? world.nodes.get(target.name)?.cluster : target.name;
  const cluster = world.clusters.get(name ?? "");
  return cluster && deploymentOf(world, cluster);
}

function openRefusal({ target }: Place): string {
  return target ? "" : "nothing is chosen";
}

function backRefusal({ screen }: Place): string {
  return screen === "overview" ? "this is the first screen" : "";
}

function approveRefusal({ target, world }: Place): string {
  if (target?.kind !== "node") return "choose a node";
  const node = world.nodes.get(target.name);
  if (node?.state === Node_State.AWAITING_APPROVAL) return "";
  return node ? `${node.name} is ${nodeState(node.state).word}` : "choose a node";
}

function deployRefusal({ target, world }: Place): string {
  if (target?.kind !== "cluster") return "choose a cluster on the overview";
  const running = deploymentFor(world, target);
  return running && !hasEnded(running.state) ? `${running.name} is running` : "";
}

function retryRefusal({ target, world }: Place): string {
  const deployment = deploymentFor(world, target);
  if (!deployment) return "choose something of a deployment";
  if (deployment.state === Deployment_State.SUCCEEDED) return `${deployment.name} has succeeded`;
  return hasEnded(deployment.state) ? "" : `${deployment.name} is running`;
}

function goRefusal({ target, world }: Place): string {
  if (target?.kind === "step") {
    const step = world.steps.get(target.name);
    return step && isHeld(step) ? "" : `${target.name} is not held`;
  }
  const deployment = deploymentFor(world, target);
  if (!deployment) return "choose a step or a deployment";
  return stepsOf(world, deployment).some(isHeld) ? "" : `no step of ${deployment.name} is held`;
}

function stopRefusal({ target, world }: Place): string {
  const deployment = deploymentFor(world, target);
  if (!deployment) return "choose something of a deployment";
  return deployment.state === Deployment_State.RUNNING ? "" : `${deployment.name} is not running`;
}

function logRefusal({ screen, target, world }: Place): string {
  if (screen === "log") return "this is the log";
  if (target?.kind === "step") return "";
  if (target?.kind !== "node") return "choose a step or a node";
  return deploymentFor(world, target) ? "" : `${target.name} has no steps`;
}

function followRefusal({ screen }: Place): string {
  return screen === "log" ? "" : "only in a log";
}
