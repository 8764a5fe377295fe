// What a config task reads of its cluster, as a digest: with other settings or nodes it is not the same step, though
// its action is. What other tasks report, and where nodes can be reached, is no part of it: docs/tasks.md.
import { hash } from "node:crypto";
import { type JsonObject, type JsonValue, toJsonString } from "@bufbuild/protobuf";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { StepActionSchema, type StepInputs, StepInputsSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import type { TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import type { State } from "./state.ts";
import { actionOf } from "./task-actions.ts";
import type { Place } from "./task-spread.ts";
import { staticValues } from "./values.ts";

/** Says what a task reads on a node: hexadecimal, or empty for nothing. */
export type Reader = (place: Place) => string;

export function readerOf(
  state: State,
  cluster: Cluster,
  task: TaskSpec,
  inputs: StepInputs | undefined,
): Reader {
  const text = writtenIn(task, inputs);
  const opaque = inputs !== undefined && Object.keys(inputs.sources).length > 0;
  const { case: kind } = task.action;
  // Nobody has read what is in the files. What is made from them is cheap to look at again; Puppet and Ansible are
  // not, and say by `reexecute_on: [nodes]` that they depend on other nodes.
  const isTemplate = opaque && (kind === "template" || kind === "mergeConfig");
  const isProgram = opaque && (kind === "puppet" || kind === "ansible");
  const has = (word: RegExp) => isTemplate || word.test(text);
  const again = new Set(task.reexecuteOn);

  const isScript = opaque && kind === "shell";
  const readsAll = again.has("settings") || isTemplate || isProgram || isScript || kind === "puppet";
  const settings = readsAll ? "all" : bothOf(settingsIn(text), variablesIn(cluster, text));
  const readsNodes = has(/\bnodes\b/);
  const readsRoles = has(/\broles\b/);
  const readsCluster = has(/\bcluster\b/) || isProgram;
  const readsNode = has(/\bnode\b|\bMUSTER_ROLE\b/) || isProgram || isScript;
  const readsHardware = /\binventory\b/.test(text);
  const secrets = Object.entries(task.secrets).map(([alias, name]) => [alias, versionOf(state, name)]);

  const shared = (values: JsonObject): JsonObject => {
    const read: JsonObject = {};
    if (settings === "all") read.settings = values.settings ?? {};
    else if (settings.length) read.settings = pick(values.settings, settings);
    if (readsNodes) read.nodes = values.nodes ?? [];
    if (again.has("nodes")) read.members = cluster.spec?.nodes.map(({ node }) => node) ?? [];
    if (readsRoles) read.roles = values.roles ?? {};
    if (readsCluster) read.cluster = values.cluster ?? {};
    if (secrets.length) read.secrets = Object.fromEntries(secrets);
    return read;
  };
  let common: string | undefined;
  return (place) => {
    if (common !== undefined && !readsNode) return common;
    const values = staticValues(state, cluster, place, noParameters);
    if (common === undefined) {
      const read = shared(values);
      common = Object.keys(read).length ? sha256(canonical(read)) : "";
    }
    return readsNode ? sha256(common + nodeDigest(values.node, readsHardware)) : common;
  };
}

const noParameters = {};
const nodeDigests = new WeakMap<JsonObject, Map<boolean, string>>();

/** Of a node without what it has of hardware, or with it. Many tasks ask for the same node. */
function nodeDigest(node: JsonValue | undefined, withHardware: boolean): string {
  if (!isObject(node)) return "";
  const known = nodeDigests.get(node) ?? new Map<boolean, string>();
  nodeDigests.set(node, known);
  const before = known.get(withHardware);
  if (before) return before;
  const digest = sha256(canonical(withHardware ? node : { ...node, inventory: {} }));
  known.set(withHardware, digest);
  return digest;
}

const withTemplates: readonly string[] = ["template", "mergeConfig", "puppet", "ansible"];

/**
 * The text in which values may be read: of templates all of it, of other tasks only what has `{{` or `{%`, or names
 * a variable of the environment that commands run in.
 */
function writtenIn(task: TaskSpec, inputs: StepInputs | undefined): string {
  const { case: kind } = task.action;
  const text = actionText(task);
  const isRead =
    (kind && withTemplates.includes(kind)) || (!isContent(kind) && /\{\{|\{%|\bMUSTER_/.test(text));
  return `${isRead ? text : ""}\n${inputs ? toJsonString(StepInputsSchema, inputs) : ""}`;
}

/** It goes to the node as it stands. */
function isContent(kind: TaskSpec["action"]["case"]): boolean {
  return kind === "uploadFile" || kind === "uploadFiles";
}

/** All that is written in a task's action. */
export function actionText(task: TaskSpec): string {
  const action = actionOf(task);
  return toJsonString(StepActionSchema, typeof action === "function" ? action({}) : action);
}

/** The settings that a text names; all if it does anything else with them. */
function settingsIn(text: string): string[] | "all" {
  const all = text.match(/\bsettings\b/g)?.length ?? 0;
  const named = [...text.matchAll(/\bsettings(?:\.([A-Za-z_]\w*)|\[\\?["']([^"'\\]+)\\?["']\])/g)];
  return named.length < all ? "all" : [...new Set(named.map(([, dotted, quoted]) => dotted ?? quoted ?? ""))];
}

/** The settings that a text names by their variables, `$MUSTER_SETTING_NAME`; all if it looks for such itself. */
function variablesIn({ spec }: Cluster, text: string): string[] | "all" {
  const named = [...text.matchAll(/\bMUSTER_SETTING(?:_([A-Z0-9_]+))?/g)].map(([, name]) => name);
  if (named.includes(undefined) || /\bMUSTER_(?![A-Z])/.test(text)) return "all";
  return Object.keys(spec?.settings ?? {}).filter((key) => named.includes(key.toUpperCase()));
}

function bothOf(a: string[] | "all", b: string[] | "all"): string[] | "all" {
  return a === "all" || b === "all" ? "all" : [...new Set([...a, ...b])];
}

function pick(settings: JsonValue | undefined, names: readonly string[]): JsonObject {
  const all = isObject(settings) ? settings : {};
  return Object.fromEntries(names.map((name) => [name, all[name] ?? null]));
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same for the same values, in whatever order a map has them. */
function canonical(value: JsonValue): string {
  return JSON.stringify(value, (_, item: JsonValue) =>
    isObject(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
}

function versionOf(state: State, secret: string): string {
  return `${state.secrets.get(secret)?.secret?.revision ?? 0n}`;
}

function sha256(text: string): string {
  return hash("sha256", text);
}
