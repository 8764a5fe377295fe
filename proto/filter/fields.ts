// What each List call can be filtered by. The documentation of the API lists these tables.
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Cluster, Document } from "../gen/muster/v1/cluster_pb.ts";
import {
  type Attempt,
  type Deployment,
  Deployment_State,
  Purpose,
  type Step,
  Step_State,
} from "../gen/muster/v1/deployment_pb.ts";
import { type Image, ImageKind } from "../gen/muster/v1/image_pb.ts";
import { Environment, Fault_Kind, type Node, Node_State, PowerState } from "../gen/muster/v1/node_pb.ts";
import type { Secret } from "../gen/muster/v1/secret_pb.ts";
import { type Event, Event_Severity } from "../gen/muster/v1/watch_pb.ts";
import type { Field, Fields } from "./filter.ts";

type Enum = Readonly<Record<string, number>>;

/** The names of an enum's values, without its zero: `{ READY: 8, … }`. */
function namesOf(values: Enum): string[] {
  return Object.keys(values).filter((name) => name !== "UNSPECIFIED");
}

function choice<T>(about: string, values: Enum, get: (item: T) => number | readonly number[]): Field<T> {
  const names = new Map(Object.entries(values).map(([name, value]) => [value, name]));
  return {
    kind: "enum",
    about,
    values: namesOf(values),
    get: (item) => [get(item)].flat().map((value) => names.get(value) ?? ""),
  };
}

function text<T>(about: string, get: (item: T) => string | undefined | readonly string[]): Field<T> {
  return { kind: "text", about, get: (item) => [get(item) ?? []].flat() };
}

function flag<T>(about: string, get: (item: T) => boolean): Field<T> {
  return { kind: "flag", about, get };
}

export const nodeFields: Fields<Node> = {
  fields: {
    name: text("", ({ name }) => name),
    state: choice("", Node_State, ({ state }) => state),
    cluster: text("empty if it is in none", ({ cluster }) => cluster),
    role: text("", ({ role }) => role),
    hostname: text("", ({ hostname }) => hostname),
    address: text("", ({ address }) => address),
    mac: text("any of its MAC addresses", macsOf),
    serial: text("", ({ fingerprint }) => fingerprint?.systemSerial),
    uuid: text("", ({ fingerprint }) => fingerprint?.systemUuid),
    environment: choice("where its agent runs", Environment, ({ environment }) => environment),
    power: choice("", PowerState, ({ power }) => power),
    fault: choice("any of its faults", Fault_Kind, ({ faults }) => faults.map(({ kind }) => kind)),
    online: flag("", ({ online }) => online),
    maintenance: flag("", ({ maintenance }) => maintenance),
    protected: flag("", (node) => node.protected),
    retired: flag("", ({ retired }) => retired),
    declared: flag("a manifest names it", ({ spec }) => spec !== undefined),
    "label.*": text("a label of its manifest, such as `label.rack`", () => []),
  },
  entry: ({ spec }, _field, key) => {
    const labels = spec?.labels ?? {};
    return Object.hasOwn(labels, key) ? [labels[key] ?? ""] : [];
  },
  words: (node) => [
    node.name,
    node.hostname,
    node.fingerprint?.systemSerial ?? "",
    node.address,
    ...macsOf(node),
  ],
  wordsAbout: "name, host name, serial number, MAC address and address",
};

function macsOf({ spec, fingerprint }: Node): string[] {
  return [...(spec?.macs ?? []), ...(fingerprint?.macs ?? [])];
}

export const clusterFields: Fields<Cluster> = {
  fields: {
    name: text("", ({ name }) => name),
    deployment: text("its newest; empty before the first", ({ deployment }) => deployment),
    node: text("any of its nodes", ({ spec }) => spec?.nodes.map(({ node }) => node)),
    role: text("any role of its nodes", ({ spec }) => spec?.nodes.map(({ role }) => role)),
  },
  words: ({ name }) => [name],
  wordsAbout: "name",
};

export const documentFields: Fields<Document> = {
  fields: {
    name: text("`role/NAME`, `scheme/NAME`, `task/NAME`", ({ name }) => name),
    kind: text("role, scheme or task", ({ name }) => name.slice(0, name.indexOf("/"))),
  },
  words: ({ name }) => [name],
  wordsAbout: "name",
};

export const imageFields: Fields<Image> = {
  fields: {
    name: text("", ({ name }) => name),
    version: text("", ({ version }) => version),
    kind: choice("", ImageKind, ({ kind }) => kind),
    digest: text("", ({ digest }) => digest),
    kernel_version: text("", ({ kernelVersion }) => kernelVersion),
    filesystem: text("", ({ filesystem }) => filesystem),
    firmware: text("any that it can boot from", ({ firmware }) => firmware),
  },
  words: ({ name, digest }) => [name, digest],
  wordsAbout: "name and digest",
};

export const secretFields: Fields<Secret> = {
  fields: {
    name: text("", ({ name }) => name),
    typable: flag("can be typed at a console", ({ typable }) => typable),
  },
  words: ({ name }) => [name],
  wordsAbout: "name",
};

export const deploymentFields: Fields<Deployment> = {
  fields: {
    name: text("", ({ name }) => name),
    cluster: text("", ({ cluster }) => cluster),
    state: choice("", Deployment_State, ({ state }) => state),
    purpose: choice("", Purpose, ({ plan }) => plan?.purpose || Purpose.DEPLOY),
    node: text("any of its nodes", ({ plan }) => plan?.nodes.map(({ node }) => node)),
  },
  words: ({ name }) => [name],
  wordsAbout: "name",
};

export const stepFields: Fields<Step> = {
  fields: {
    node: text("", ({ node }) => node),
    task: text("", ({ task }) => task),
    state: choice("", Step_State, ({ state }) => state),
    hold: flag("waits for a go", ({ hold }) => hold),
  },
  words: ({ node, task }) => [node, task],
  wordsAbout: "node and task",
};

export const attemptFields: Fields<Attempt> = {
  fields: {
    deployment: text("", ({ deployment }) => deployment),
    node: text("", ({ node }) => node),
    task: text("", ({ task }) => task),
    state: choice("", Step_State, ({ state }) => state),
    number: text("", ({ number }) => `${number}`),
    plan_hash: text("", ({ planHash }) => planHash),
  },
  words: ({ name }) => [name],
  wordsAbout: "name",
};

export const eventFields: Fields<Event> = {
  fields: {
    severity: choice("", Event_Severity, ({ severity }) => severity),
    subject: text("such as `node/n1`", ({ subject }) => subject),
    reason: text("", ({ reason }) => reason),
    time: text("in UTC, such as `2026-11-21T14*`", ({ time }) => (time ? iso(time) : "")),
  },
  words: ({ subject, reason, message }) => [subject, reason, message],
  wordsAbout: "subject, reason and message",
};

function iso({ seconds }: Timestamp): string {
  return new Date(Number(seconds) * 1000).toISOString();
}
