// What conditions and templates can read: docs/tasks.md lists it for users. Values are shared between steps, and
// never changed.
import { type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { type Deployment, type PlannedStep, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Firmware_Mode, type Inventory } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { ClusterNode, ClusterSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { type StepInputs, TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import type { State } from "./state.ts";
import type { Place } from "./task-spread.ts";
import { isProvisioning } from "./tasks.ts";
import { mentions } from "./value-mentions.ts";

type Parameters = StepInputs["parameters"];

/** What a plan can know: no deployment, no results of tasks, no addresses. */
export function staticValues(
  state: State,
  cluster: Cluster,
  place: Place,
  parameters: Parameters,
): JsonObject {
  const shared = sharedValues(cluster);
  return {
    ...shared,
    node: nodeValue(state, cluster.spec, place),
    parameters: parameterValues(parameters),
    nodes: nodeList(state, cluster),
  };
}

/** All that a step can read, now. The list of nodes is only there if the step asks for it. */
export function valuesOf(state: State, deployment: Deployment, planned: PlannedStep): JsonObject {
  const cluster = state.clusters.get(deployment.cluster);
  const node = state.nodes.get(planned.node);
  const place = placeOf(cluster, planned.node) ?? {
    node: planned.node,
    role: node?.role ?? "",
    hostname: node?.hostname ?? "",
  };
  const values: JsonObject = {
    ...(cluster ? sharedValues(cluster) : {}),
    deployment: deployment.name,
    node: { ...nodeValue(state, cluster?.spec, place), address: node?.address ?? "" },
    parameters: parameterValues(planned.inputs?.parameters ?? {}),
    tasks: tasksOf(state, deployment, planned.node, true),
  };
  if (!mentions(planned, "nodes")) return values;
  const withTasks = mentions(planned, "tasks");
  values.nodes = (cluster?.spec?.nodes ?? []).map((other) => ({
    ...briefValue(state, cluster?.spec, other),
    address: state.nodes.get(other.node)?.address ?? "",
    tasks: withTasks ? tasksOf(state, deployment, other.node, false) : {},
  }));
  return values;
}

type SharedValues = { settings: JsonObject; cluster: JsonObject; roles: JsonObject };
const shared = new WeakMap<ClusterSpec, SharedValues>();

function sharedValues({ name, spec }: Cluster): SharedValues {
  const before = spec && shared.get(spec);
  if (before) return before;
  const roles: Record<string, string[]> = {};
  for (const { node, role } of spec?.nodes ?? []) {
    const own = roles[role];
    if (own) own.push(node);
    else roles[role] = [node];
  }
  const values = {
    settings: { ...spec?.settings },
    cluster: { name, domain: spec?.domain ?? "" },
    roles,
  };
  if (spec) shared.set(spec, values);
  return values;
}

const places = new WeakMap<ClusterSpec, Map<string, ClusterNode>>();

function placeOf(cluster: Cluster | undefined, node: string): ClusterNode | undefined {
  const spec = cluster?.spec;
  if (!spec) return undefined;
  const known = places.get(spec) ?? new Map(spec.nodes.map((place) => [place.node, place]));
  places.set(spec, known);
  return known.get(node);
}

function briefValue(state: State, spec: ClusterSpec | undefined, place: Place): JsonObject {
  const hostname = place.hostname || place.node;
  return {
    name: place.node,
    hostname,
    fqdn: spec?.domain ? `${hostname}.${spec.domain}` : hostname,
    role: place.role,
    labels: { ...state.nodes.get(place.node)?.spec?.labels },
  };
}

const nodeValues = new WeakMap<Node, { spec: ClusterSpec | undefined; place: Place; value: JsonObject }>();

function nodeValue(state: State, spec: ClusterSpec | undefined, place: Place): JsonObject {
  const node = state.nodes.get(place.node);
  const before = node && nodeValues.get(node);
  if (before?.spec === spec && before?.place === place) return before?.value ?? {};
  const value = { ...briefValue(state, spec, place), inventory: inventoryValue(node?.inventory) };
  if (node) nodeValues.set(node, { spec, place, value });
  return value;
}

function inventoryValue(inventory: Inventory | undefined): JsonObject {
  const { system, cpu, memoryBytes, firmware, disks, nics } = inventory ?? {};
  return {
    cpus: cpu?.threads ?? 0,
    memory_bytes: Number(memoryBytes ?? 0n),
    vendor: system?.manufacturer ?? "",
    product: system?.product ?? "",
    serial: system?.serial ?? "",
    firmware: firmware?.mode === Firmware_Mode.UEFI ? "uefi" : "bios",
    disks: (disks ?? []).map(({ name, sizeBytes, model, rotational }) => ({
      name,
      size_bytes: Number(sizeBytes),
      model,
      rotational,
    })),
    nics: (nics ?? []).map(({ name, mac, driver, speedMbps }) => ({
      name,
      mac,
      driver,
      speed_mbps: speedMbps,
    })),
  };
}

const lists = new WeakMap<State, { version: number; cluster: Cluster; list: JsonValue[] }>();

/** The nodes of the cluster as a plan knows them, in the order of its manifest. */
function nodeList(state: State, cluster: Cluster): JsonValue[] {
  const before = lists.get(state);
  if (before?.version === state.version && before.cluster === cluster) return before.list;
  const list = (cluster.spec?.nodes ?? []).map((place) => briefValue(state, cluster.spec, place));
  lists.set(state, { version: state.version, cluster, list });
  return list;
}

const parameterForms = new WeakMap<Parameters, JsonObject>();

function parameterValues(parameters: Parameters): JsonObject {
  const before = parameterForms.get(parameters);
  if (before) return before;
  const form = Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, toJson(ValueSchema, value)]),
  );
  parameterForms.set(parameters, form);
  return form;
}

const outcomes: Partial<Record<TaskOutcome, string>> = {
  [TaskOutcome.CHANGED]: "changed",
  [TaskOutcome.SKIPPED]: "skipped",
  [TaskOutcome.IGNORED]: "ignored",
};

/** The newest successes of a node's tasks. What an earlier deployment has changed, is as it should be in this one. */
function tasksOf(state: State, { name }: Deployment, node: string, own: boolean): JsonObject {
  const tasks: JsonObject = {};
  for (const { task, deployment, outcome, facts } of state.taskRecords.get(node)?.values() ?? []) {
    if (isProvisioning(task)) continue;
    const done = outcomes[outcome] ?? "ok";
    tasks[task] = {
      outcome: deployment !== name && done === "changed" ? "ok" : done,
      facts: facts ?? {},
      ...(own ? { result: "" } : {}),
    };
  }
  for (const step of state.stepBook(name).ofNode(node).values()) {
    if (step.state !== Step_State.SUCCEEDED || isProvisioning(step.task)) continue;
    // Of what is skipped now, the facts are still those of the time that it was done.
    const before = state.taskRecords.get(node)?.get(step.task);
    tasks[step.task] = {
      outcome: outcomes[step.outcome] ?? "ok",
      facts: step.facts ?? before?.facts ?? {},
      ...(own ? { result: step.result } : {}),
    };
  }
  return tasks;
}
