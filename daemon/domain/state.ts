// All resources as the engine sees them: read by name, changed only by applying the changes of a decision.
// Messages are never modified in place; a change puts a new one.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Cluster, Document } from "../../proto/gen/muster/v1/cluster_pb.ts";
import type { Deployment, Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Image } from "../../proto/gen/muster/v1/image_pb.ts";
import type { RoleSpec, SchemeSpec, TaskSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { type Event, type Resource, ResourceSchema } from "../../proto/gen/muster/v1/watch_pb.ts";

export type Change = { put: Resource } | { delete: string };

/** `node/n1`, `step/demo-1/n1/image`: the key of a resource everywhere. */
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

export class State {
  readonly nodes = new Map<string, Node>();
  readonly clusters = new Map<string, Cluster>();
  readonly images = new Map<string, Image>();
  readonly deployments = new Map<string, Deployment>();
  readonly documents = new Map<string, Document>();
  readonly events: Event[] = [];
  readonly #steps = new Map<string, Map<string, Step>>();

  apply(change: Change): void {
    if ("delete" in change) this.#delete(change.delete);
    else this.#put(change.put);
  }

  #put({ kind }: Resource): void {
    switch (kind.case) {
      case "node":
        this.nodes.set(kind.value.name, kind.value);
        break;
      case "cluster":
        this.clusters.set(kind.value.name, kind.value);
        break;
      case "image":
        this.images.set(kind.value.name, kind.value);
        break;
      case "deployment":
        this.deployments.set(kind.value.name, kind.value);
        break;
      case "document":
        this.documents.set(kind.value.name, kind.value);
        break;
      case "step":
        this.#stepsOf(kind.value.deployment).set(kind.value.name, kind.value);
        break;
      case "event":
        this.events.push(kind.value);
        break;
    }
  }

  *resources(): Generator<Resource> {
    for (const value of this.documents.values()) yield resource({ case: "document", value });
    for (const value of this.images.values()) yield resource({ case: "image", value });
    for (const value of this.nodes.values()) yield resource({ case: "node", value });
    for (const value of this.clusters.values()) yield resource({ case: "cluster", value });
    for (const value of this.deployments.values()) yield resource({ case: "deployment", value });
    for (const steps of this.#steps.values()) {
      for (const value of steps.values()) yield resource({ case: "step", value });
    }
    for (const value of this.events) yield resource({ case: "event", value });
  }

  /** The steps of a deployment, in the order of its plan. */
  steps(deployment: string): Step[] {
    return [...(this.#steps.get(deployment)?.values() ?? [])];
  }

  /** Records are read in order of their names: puts the steps of every deployment back into that of its plan. */
  orderSteps(): void {
    for (const [deployment, steps] of this.#steps) {
      const planned = this.deployments.get(deployment)?.plan?.steps ?? [];
      const place = new Map(planned.map(({ id }, index) => [`${deployment}/${id}`, index]));
      const sorted = [...steps].sort(([a], [b]) => (place.get(a) ?? 0) - (place.get(b) ?? 0));
      this.#steps.set(deployment, new Map(sorted));
    }
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

  /** A deployment by name, or the newest of the cluster of that name. */
  deployment(name: string): Deployment | undefined {
    return this.deployments.get(name) ?? this.deployments.get(this.clusters.get(name)?.deployment ?? "");
  }

  nodeByMac(mac: string): Node | undefined {
    return [...this.nodes.values()].find(
      ({ spec, fingerprint }) => spec?.macs.includes(mac) || fingerprint?.macs.includes(mac),
    );
  }

  #spec<K extends "role" | "scheme">(name: string, kind: K) {
    const manifest = this.documents.get(name)?.manifest?.kind;
    return manifest?.case === kind ? (manifest.value as K extends "role" ? RoleSpec : SchemeSpec) : undefined;
  }

  #stepsOf(deployment: string): Map<string, Step> {
    const steps = this.#steps.get(deployment) ?? new Map<string, Step>();
    this.#steps.set(deployment, steps);
    return steps;
  }

  #delete(name: string): void {
    const slash = name.indexOf("/");
    const [kind, rest] = [name.slice(0, slash), name.slice(slash + 1)];
    if (kind === "node") this.nodes.delete(rest);
    else if (kind === "cluster") this.clusters.delete(rest);
    else if (kind === "event")
      this.events.splice(0, this.events.findIndex((e) => `${e.revision}` === rest) + 1);
    else this.documents.delete(name);
  }
}

function resource(kind: Resource["kind"]): Resource {
  return create(ResourceSchema, { kind });
}
