// Checks decoded manifests as a whole, together with what is stored, and turns them into changes.
import { create, equals } from "@bufbuild/protobuf";
import {
  type AppliedDocument,
  AppliedDocumentSchema,
  ClusterSchema,
  DocumentSchema,
  AppliedDocument_Outcome as Outcome,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  ClusterSpecSchema,
  type Manifest,
  ManifestSchema,
  NodeSpecSchema,
} from "../../proto/gen/muster/v1/manifest_pb.ts";
import { Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import type { DecodedDocument, Fault } from "../../proto/manifest/decode.ts";
import { nearest } from "../../proto/manifest/suggest.ts";
import { isBusy } from "./node.ts";
import { checkScheme } from "./scheme-check.ts";
import { type Change, put, type State } from "./state.ts";
import { isProvisioning } from "./tasks.ts";

type Report = (path: string, message: string) => void;

/** What exists once the set is applied: stored and new names of every kind. */
type Names = Record<"node" | "role" | "scheme" | "task" | "image", Set<string>>;

export function checkManifests(state: State, documents: DecodedDocument[]): Fault[] {
  const faults: Fault[] = [];
  const names = knownNames(state, documents);
  const claimed = claimedNodes(state, documents);
  const owners = macOwners(state, documents);
  for (const document of documents) {
    const report: Report = (path, message) => {
      const { line, column } = document.locate(path);
      faults.push({ file: document.file, line, column, path, message });
    };
    checkOne(state, document.manifest, names, claimed, owners, report);
  }
  return faults;
}

function checkOne(
  state: State,
  { kind }: Manifest,
  names: Names,
  claimed: Map<string, string>,
  owners: Map<string, string>,
  report: Report,
): void {
  const refer = (path: string, set: keyof Names, name: string, remedy = "") => {
    if (names[set].has(name)) return;
    const near = nearest(name, [...names[set]]);
    const hint = near ? `; did you mean \`${near}\`?` : remedy;
    report(path, `there is no ${set} \`${name}\`${hint}`);
  };
  switch (kind.case) {
    case "role":
      for (const [i, { image }] of [kind.value, ...kind.value.images].entries()) {
        const path = i === 0 ? "image" : `images[${i - 1}].image`;
        refer(path, "image", image, "; build it with `muster image build RECIPE`");
      }
      refer("scheme", "scheme", kind.value.scheme, "; apply it before or together with this role");
      break;
    case "scheme":
      for (const { path, message } of checkScheme(kind.value)) report(path, message);
      break;
    case "recipe":
      report("kind", "recipes are not applied; build them with `muster image build FILE`");
      break;
    case "task": {
      const { name, roles, requires, crossDepends } = kind.value;
      if (isProvisioning(name)) {
        report("name", `\`${name}\` is the name of a provisioning step; choose another`);
      }
      roles.forEach((role, i) => {
        if (role !== "*") refer(`roles[${i}]`, "role", role);
      });
      requires.forEach((task, i) => {
        refer(`requires[${i}]`, "task", task);
      });
      crossDepends.forEach(({ task, role }, i) => {
        refer(`cross_depends[${i}].task`, "task", task);
        if (role !== "*") refer(`cross_depends[${i}].role`, "role", role);
      });
      break;
    }
    case "cluster": {
      const { name: cluster, nodes } = kind.value;
      const hostnames = new Map<string, number>();
      nodes.forEach(({ node, role, hostname }, i) => {
        const remedy = "; declare it with `kind: Node`, or switch it on so that it is discovered";
        refer(`nodes[${i}].node`, "node", node, remedy);
        refer(`nodes[${i}].role`, "role", role);
        if (nodes.findIndex((other) => other.node === node) < i) {
          report(`nodes[${i}].node`, `\`${node}\` is named twice`);
        }
        const owner = claimed.get(node);
        if (owner && owner !== cluster)
          report(`nodes[${i}].node`, `\`${node}\` belongs to cluster \`${owner}\``);
        const own = hostname || node;
        if (hostnames.has(own)) report(`nodes[${i}].hostname`, `\`${own}\` is the host name of two nodes`);
        hostnames.set(own, i);
      });
      break;
    }
    case "mirror": {
      // What its files are called is put behind it.
      const { protocol, search, hash } = URL.parse(kind.value.url) ?? {};
      if (!protocol) report("url", `\`${kind.value.url}\` is not an address`);
      else if (search || hash) report("url", "ends with a path, without `?` and `#`");
      break;
    }
    case "node": {
      const { name, macs } = kind.value;
      macs.forEach((mac, i) => {
        const owner = owners.get(mac);
        if (!owner || owner === name) return;
        // It came before it was declared, and got a name of its own then.
        const remedy =
          state.nodes.has(owner) && !state.nodes.get(owner)?.spec ? "; declare it by that name" : "";
        report(`macs[${i}]`, `\`${mac}\` belongs to node \`${owner}\`${remedy}`);
      });
      break;
    }
  }
}

function knownNames(state: State, documents: DecodedDocument[]): Names {
  const names: Names = {
    node: new Set(state.nodes.keys()),
    role: new Set(),
    scheme: new Set(),
    task: new Set(),
    image: new Set([...state.images.values()].flatMap(({ name, digest }) => [name, digest])),
  };
  const stored = [...state.documents.values()].flatMap(({ manifest }) => (manifest ? [manifest] : []));
  for (const { kind } of [...stored, ...documents.map(({ manifest }) => manifest)]) {
    if (kind.case && kind.case in names) names[kind.case as keyof Names].add(kind.value.name);
  }
  return names;
}

/** Which cluster has which node, once the set is applied. */
function claimedNodes(state: State, documents: DecodedDocument[]): Map<string, string> {
  const clusters = new Map([...state.clusters.values()].map(({ name, spec }) => [name, spec]));
  const claimed = new Map<string, string>();
  for (const { manifest } of documents) {
    if (manifest.kind.case === "cluster") clusters.set(manifest.kind.value.name, manifest.kind.value);
  }
  for (const [name, spec] of clusters) {
    for (const { node } of spec?.nodes ?? []) if (!claimed.has(node)) claimed.set(node, name);
  }
  return claimed;
}

/** Which node has which MAC, once the set is applied. What a machine has shown comes before what is declared. */
function macOwners(state: State, documents: DecodedDocument[]): Map<string, string> {
  const specs = documents.flatMap(({ manifest: { kind } }) => (kind.case === "node" ? [kind.value] : []));
  const replaced = new Set(specs.map(({ name }) => name));
  const stored = [...state.nodes.values()];
  const claims = [
    ...stored.map(({ name, fingerprint }) => ({ name, macs: fingerprint?.macs ?? [] })),
    ...stored
      .filter(({ name }) => !replaced.has(name))
      .map(({ name, spec }) => ({ name, macs: spec?.macs ?? [] })),
    ...specs,
  ];
  const owners = new Map<string, string>();
  for (const { name, macs } of claims) {
    for (const mac of macs) if (!owners.has(mac)) owners.set(mac, name);
  }
  return owners;
}

export type AppliedManifests = { changes: Change[]; applied: AppliedDocument[]; busy: string[] };

/** The changes that store manifests which passed checkManifests; `busy` names what a deployment is using. */
export function applyManifests(state: State, documents: DecodedDocument[]): AppliedManifests {
  const result: AppliedManifests = { changes: [], applied: [], busy: [] };
  for (const { manifest } of documents) {
    const { kind } = manifest;
    if (!kind.case) continue;
    const name = `${kind.case}/${kind.value.name}`;
    const outcome = applyOne(state, name, manifest, result);
    result.applied.push(create(AppliedDocumentSchema, { name, outcome }));
  }
  return result;
}

function applyOne(
  state: State,
  name: string,
  manifest: Manifest,
  { changes, busy }: AppliedManifests,
): Outcome {
  const { kind } = manifest;
  switch (kind.case) {
    case "node": {
      const spec = kind.value;
      const stored = state.nodes.get(spec.name);
      if (stored?.spec && equals(NodeSpecSchema, stored.spec, spec)) return Outcome.UNCHANGED;
      if (stored && isBusy(stored.state)) busy.push(name);
      const node = stored ?? create(NodeSchema, { name: spec.name, state: Node_State.DISCOVERED });
      changes.push(put({ case: "node", value: { ...node, spec } }));
      return stored?.spec ? Outcome.CHANGED : Outcome.CREATED;
    }
    case "cluster": {
      const stored = state.clusters.get(kind.value.name);
      if (stored?.spec && equals(ClusterSpecSchema, stored.spec, kind.value)) return Outcome.UNCHANGED;
      const cluster = stored ?? create(ClusterSchema, { name: kind.value.name });
      changes.push(put({ case: "cluster", value: { ...cluster, spec: kind.value } }));
      return stored ? Outcome.CHANGED : Outcome.CREATED;
    }
    default: {
      const stored = state.documents.get(name);
      if (stored?.manifest && equals(ManifestSchema, stored.manifest, manifest)) return Outcome.UNCHANGED;
      changes.push(put({ case: "document", value: create(DocumentSchema, { name, manifest }) }));
      return stored ? Outcome.CHANGED : Outcome.CREATED;
    }
  }
}
