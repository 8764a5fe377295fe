// What each List call can be filtered by; nodes are in node-fields.ts. The documentation of the API lists these tables.
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
import type { FetchedFile } from "../gen/muster/v1/files_pb.ts";
import { type Image, ImageKind } from "../gen/muster/v1/image_pb.ts";
import type { Secret } from "../gen/muster/v1/secret_pb.ts";
import { type Event, Event_Severity } from "../gen/muster/v1/watch_pb.ts";
import { choice, flag, number, text } from "./field-kinds.ts";
import type { Fields } from "./filter.ts";

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

export const fetchedFileFields: Fields<FetchedFile> = {
  fields: {
    name: text("NODE/PATH", ({ name }) => name),
    node: text("", ({ node }) => node),
    path: text("on the node", ({ path }) => path),
    step: text("that has fetched it", ({ step }) => step),
  },
  words: ({ name }) => [name],
  wordsAbout: "name",
};

export const deploymentFields: Fields<Deployment> = {
  fields: {
    name: text("", ({ name }) => name),
    cluster: text("", ({ cluster }) => cluster),
    state: choice("", Deployment_State, ({ state }) => state),
    purpose: choice("", Purpose, ({ purpose }) => purpose || Purpose.DEPLOY),
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
  listed: ({ node }) => node,
};

export const attemptFields: Fields<Attempt> = {
  fields: {
    deployment: text("", ({ deployment }) => deployment),
    node: text("", ({ node }) => node),
    task: text("", ({ task }) => task),
    state: choice("", Step_State, ({ state }) => state),
    number: number("", "count", (attempt) => attempt.number),
    plan_hash: text("", ({ planHash }) => planHash),
  },
  words: ({ name }) => [name],
  wordsAbout: "name",
  listed: ({ node }) => node,
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
