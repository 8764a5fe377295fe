// All resources as the engine sees them: read by name, changed only by applying the changes of a decision.
// Messages are never modified in place; a change puts a new one.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Cluster, Document } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  type Deployment,
  type Step,
  Step_State,
  type TaskRecord,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Image } from "../../proto/gen/muster/v1/image_pb.ts";
import type { MirrorSpec, RoleSpec, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import type { RequestRecord, SecretRecord } from "../../proto/gen/muster/v1/record_pb.ts";
import type { GraphSpec, TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import { type Event, type Resource, ResourceSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { skippedSteps } from "../../proto/plan/skipped-steps.ts";
import { NodeIndex } from "./node-index.ts";
import { planIndex } from "./plan-index.ts";
import { StepBook } from "./step-book.ts";

export type Change =
  | { put: Resource }
  | { delete: string }
  /** A mutation that was asked for with a request id is stored together with its answer; nobody watches it. */
  | { request: RequestRecord }
  | { forgetRequest: string }
  /** A secret, encrypted; nobody watches it. */
  | { secret: SecretRecord }
  | { forgetSecret: string };

/** `node/n1`, `step/demo-1/n1/image`, `taskRecord/n1/image`: the key of a resource everywhere. */
export function resourceName({ kind }: Resource): string {
  switch (kind.case) {
    case "document":
      return kind.value.name;
    case "event":
      return `event/${kind.value.revision}`;
    case undefined:
      throw new Error("a resource without a kind has no name");
    default:
      return `${kind.case}/${kind.value.name}`;
  }
}

export function put(kind: MessageInitShape<typeof ResourceSchema>["kind"]): Change {
  return { put: create(ResourceSchema, { kind }) };
}

/** As put(), of a message that is whole, which create() would look through: for what changes with every step. */
export function putWhole(kind: Resource["kind"]): Change {
  return { put: { $typeName: "muster.v1.Resource", kind } };
}

export class State {
  readonly nodes = new Map<string, Node>();
  readonly clusters = new Map<string, Cluster>();
  readonly images = new Map<string, Image>();
  readonly deployments = new Map<string, Deployment>();
  readonly documents = new Map<string, Document>();
  readonly events: Event[] = [];
  /** In the order in which they came, so that the oldest are found first. */
  readonly requests = new Map<string, RequestRecord>();
  readonly secrets = new Map<string, SecretRecord>();
  /** By node, then by task. */
  readonly taskRecords = new Map<string, Map<string, TaskRecord>>();
  readonly #steps = new Map<string, StepBook>();
  readonly #nodeIndex = new NodeIndex();
  /** Grows with every change: what was worked out from the state holds while it is the same. */
  version = 0;

  apply(change: Change): void {
    this.version++;
    if ("delete" in change) this.#delete(change.delete);
    else if ("put" in change) this.#put(change.put);
    else if ("request" in change) this.requests.set(change.request.requestId, change.request);
    else if ("forgetRequest" in change) this.requests.delete(change.forgetRequest);
    else if ("secret" in change) this.secrets.set(change.secret.secret?.name ?? "", change.secret);
    else this.secrets.delete(change.forgetSecret);
  }

  #put({ kind }: Resource): void {
    switch (kind.case) {
      case "node":
        this.#nodeIndex.put(kind.value, this.nodes.get(kind.value.name));
        this.nodes.set(kind.value.name, kind.value);
        break;
      case "cluster":
        this.clusters.set(kind.value.name, kind.value);
        break;
      case "image":
        this.images.set(kind.value.name, kind.value);
        break;
      case "deployment":
        if (!this.deployments.has(kind.value.name)) {
          const book = this.stepBook(kind.value.name);
          for (const step of skippedSteps(kind.value)) book.put(step);
        }
        this.deployments.set(kind.value.name, kind.value);
        break;
      case "document":
        this.documents.set(kind.value.name, kind.value);
        break;
      case "step":
        this.stepBook(kind.value.deployment).put(kind.value);
        break;
      case "event":
        this.events.push(kind.value);
        break;
      case "taskRecord":
        this.#recordsOf(kind.value.node).set(kind.value.task, kind.value);
        break;
      case "attempt":
        // History is read from the store when it is asked for.
        break;
    }
  }

  /** What a watch begins with: everything but the history of attempts and tasks, and what follows from a plan. */
  *resources(): Generator<Resource> {
    for (const value of this.documents.values()) yield resource({ case: "document", value });
    for (const value of this.images.values()) yield resource({ case: "image", value });
    for (const value of this.nodes.values()) yield resource({ case: "node", value });
    for (const value of this.clusters.values()) yield resource({ case: "cluster", value });
    for (const value of this.deployments.values()) yield resource({ case: "deployment", value });
    for (const steps of this.#steps.values()) {
      for (const value of steps.all()) {
        if (value.state !== Step_State.SKIPPED) yield resource({ case: "step", value });
      }
    }
    for (const value of this.events) yield resource({ case: "event", value });
  }

  /** The steps of a deployment, in the order of its plan. */
  steps(deployment: string): Step[] {
    return this.#steps.get(deployment)?.all() ?? [];
  }

  stepBook(deployment: string): StepBook {
    const book = this.#steps.get(deployment) ?? new StepBook();
    this.#steps.set(deployment, book);
    return book;
  }

  /** Puts the steps of a deployment into the order of its plan: they come as they are stored, or made. */
  orderSteps(deployment: string): void {
    const planned = [...planIndex(this.deployments.get(deployment)?.plan).steps.keys()];
    this.stepBook(deployment).order(new Map(planned.map((id, index) => [`${deployment}/${id}`, index])));
  }

  /** `DEPLOYMENT/NODE/TASK`. */
  step(name: string): Step | undefined {
    return this.#steps.get(name.slice(0, name.indexOf("/")))?.get(name);
  }

  image(nameOrDigest: string): Image | undefined {
    return (
      this.images.get(nameOrDigest) ??
      [...this.images.values()].find((image) => image.digest === nameOrDigest)
    );
  }

  role(name: string): RoleSpec | undefined {
    return this.#spec(`role/${name}`, "role");
  }

  scheme(name: string): SchemeSpec | undefined {
    return this.#spec(`scheme/${name}`, "scheme");
  }

  tasks(): TaskSpec[] {
    const tasks: TaskSpec[] = [];
    for (const { manifest } of this.documents.values()) {
      if (manifest?.kind.case === "task") tasks.push(manifest.kind.value);
    }
    return tasks.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** By name. */
  graphs(): Map<string, GraphSpec> {
    const graphs = [...this.documents.values()].flatMap(({ manifest }) =>
      manifest?.kind.case === "graph" ? [manifest.kind.value] : [],
    );
    return new Map(graphs.map((graph) => [graph.name, graph]));
  }

  mirrors(): MirrorSpec[] {
    return [...this.documents.values()].flatMap(({ manifest }) =>
      manifest?.kind.case === "mirror" ? [manifest.kind.value] : [],
    );
  }

  /** A deployment by name, or the newest of the cluster of that name. */
  deployment(name: string): Deployment | undefined {
    return this.deployments.get(name) ?? this.deployments.get(this.clusters.get(name)?.deployment ?? "");
  }

  nodeByMac(mac: string): Node | undefined {
    return this.nodes.get(this.#nodeIndex.find(mac) ?? "");
  }

  nodeByUuid(uuid: string): Node | undefined {
    return this.nodes.get(this.#nodeIndex.find(uuid) ?? "");
  }

  #spec<K extends "role" | "scheme">(name: string, kind: K) {
    const manifest = this.documents.get(name)?.manifest?.kind;
    return manifest?.case === kind ? (manifest.value as K extends "role" ? RoleSpec : SchemeSpec) : undefined;
  }

  #recordsOf(node: string): Map<string, TaskRecord> {
    const records = this.taskRecords.get(node) ?? new Map<string, TaskRecord>();
    this.taskRecords.set(node, records);
    return records;
  }

  #deleteNode(name: string): void {
    const node = this.nodes.get(name);
    if (node) this.#nodeIndex.delete(node);
    this.nodes.delete(name);
  }

  #delete(name: string): void {
    const slash = name.indexOf("/");
    const [kind, rest] = [name.slice(0, slash), name.slice(slash + 1)];
    if (kind === "node") this.#deleteNode(rest);
    else if (kind === "cluster") this.clusters.delete(rest);
    else if (kind === "image") this.images.delete(rest);
    else if (kind === "deployment") {
      this.deployments.delete(rest);
      this.#steps.delete(rest);
    } else if (kind === "step") this.#steps.get(rest.slice(0, rest.indexOf("/")))?.delete(rest);
    else if (kind === "taskRecord") {
      const [node = "", task = ""] = rest.split("/");
      this.taskRecords.get(node)?.delete(task);
    } else if (kind === "event")
      this.events.splice(0, this.events.findIndex((e) => `${e.revision}` === rest) + 1);
    else this.documents.delete(name);
  }
}

function resource(kind: Resource["kind"]): Resource {
  return create(ResourceSchema, { kind });
}
