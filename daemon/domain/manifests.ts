// Checks decoded manifests as a whole, together with what is stored, and turns them into changes.
import { create, equals } from "@bufbuild/protobuf";
import { parseFilter } from "../../proto/filter/filter.ts";
import { FilterError } from "../../proto/filter/filter-error.ts";
import {
  type AppliedDocument,
  AppliedDocumentSchema,
  ClusterSchema,
  type Document,
  DocumentSchema,
  AppliedDocument_Outcome as Outcome,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  ClusterSpecSchema,
  type Manifest,
  NodeSpecSchema,
  type RoleSpec,
} from "../../proto/gen/muster/v1/manifest_pb.ts";
import { Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import type { DecodedDocument, Fault } from "../../proto/manifest/decode.ts";
import { hintFor, nearest } from "../../proto/manifest/suggest.ts";
import { withAssigned } from "./assigned.ts";
import { documentSources, type Given } from "./document-sources.ts";
import { isBusy } from "./node.ts";
import { nodeFieldsOf } from "./node-choice.ts";
import { checkScheme } from "./scheme-check.ts";
import { type Change, put, type State } from "./state.ts";
import { type Catalogue, checkGraph, checkTask } from "./task-check.ts";

type Report = (path: string, message: string) => void;

/** What exists once the set is applied: stored and new names of every kind. */
type Names = Record<"node" | "role" | "scheme" | "task" | "image", Set<string>>;

export function checkManifests(state: State, documents: DecodedDocument[]): Fault[] {
  const faults: Fault[] = [];
  const names = knownNames(state, documents);
  const catalogue = catalogueOf(state, documents);
  const claimed = claimedNodes(state, documents);
  const owners = macOwners(state, documents);
  for (const document of documents) {
    const report: Report = (path, message) => {
      const { line, column } = document.locate(path);
      faults.push({ file: document.file, line, column, path, message });
    };
    checkOne(state, document.manifest, names, catalogue, claimed, owners, report);
  }
  return faults;
}

function checkOne(
  state: State,
  { kind }: Manifest,
  names: Names,
  catalogue: Catalogue,
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
      checkLimits(state, kind.value, catalogue, report);
      break;
    case "scheme":
      for (const { path, message } of checkScheme(kind.value)) report(path, message);
      break;
    case "recipe":
      report("kind", "recipes are not applied; build them with `muster image build FILE`");
      break;
    case "task":
      checkTask(kind.value, catalogue, report);
      break;
    case "graph":
      checkGraph(kind.value, catalogue, report);
      break;
    case "cluster": {
      const { name: cluster, nodes, wants } = kind.value;
      wants.forEach(({ role, requirements }, i) => {
        refer(`wants[${i}].role`, "role", role);
        checkFilter(state, `wants[${i}].requirements`, requirements, report);
        if (wants.findIndex((other) => other.role === role) < i) {
          report(`wants[${i}].role`, `\`${role}\` is wanted twice; write one count`);
        }
      });
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

/** How many nodes a role can have, which ones, and beside which others. */
function checkLimits(
  state: State,
  { name, conflicts, requirements, min, max, recommended }: RoleSpec,
  { roles }: Catalogue,
  report: Report,
): void {
  conflicts.forEach((other, i) => {
    if (other === name)
      report(`conflicts[${i}]`, "a role cannot be in conflict with itself; for one node of it, `max: 1`");
    else if (!roles.has(other))
      report(`conflicts[${i}]`, `there is no role \`${other}\`${hintFor(other, [...roles])}`);
  });
  checkFilter(state, "requirements", requirements, report);
  if (max && min > max) report("min", `is more than max, which is ${max}`);
  if (max && recommended > max) report("recommended", `is more than max, which is ${max}`);
  if (recommended && recommended < min) report("recommended", `is less than min, which is ${min}`);
}

function checkFilter(state: State, path: string, filter: string, report: Report): void {
  try {
    parseFilter(filter, nodeFieldsOf(state));
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    report(path, error.message);
  }
}

function catalogueOf(state: State, documents: DecodedDocument[]): Catalogue {
  const tasks = new Map(state.tasks().map((task) => [task.name, task]));
  const graphs = state.graphs();
  for (const { manifest } of documents) {
    const { kind } = manifest;
    if (kind.case === "task") tasks.set(kind.value.name, kind.value);
    else if (kind.case === "graph") graphs.set(kind.value.name, kind.value);
  }
  return { tasks, graphs, roles: knownNames(state, documents).role };
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
    const { kind } = manifest;
    if (kind.case === "cluster") clusters.set(kind.value.name, withAssigned(state, kind.value));
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
export function applyManifests(
  state: State,
  documents: DecodedDocument[],
  given: Given = [],
): AppliedManifests {
  const result: AppliedManifests = { changes: [], applied: [], busy: [] };
  for (const document of documents) {
    const { kind } = document.manifest;
    if (!kind.case) continue;
    const name = `${kind.case}/${kind.value.name}`;
    const outcome = applyOne(state, name, document, given, result);
    result.applied.push(create(AppliedDocumentSchema, { name, outcome }));
  }
  return result;
}

function applyOne(
  state: State,
  name: string,
  document: DecodedDocument,
  given: Given,
  { changes, busy }: AppliedManifests,
): Outcome {
  const { manifest } = document;
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
      const spec = withAssigned(state, kind.value);
      if (stored?.spec && equals(ClusterSpecSchema, stored.spec, spec)) return Outcome.UNCHANGED;
      const cluster = stored ?? create(ClusterSchema, { name: kind.value.name });
      changes.push(put({ case: "cluster", value: { ...cluster, spec } }));
      return stored ? Outcome.CHANGED : Outcome.CREATED;
    }
    default: {
      const stored = state.documents.get(name);
      const next = create(DocumentSchema, { name, manifest, sources: documentSources(document, given) });
      if (stored && isSame(stored, next)) return Outcome.UNCHANGED;
      changes.push(put({ case: "document", value: next }));
      return stored ? Outcome.CHANGED : Outcome.CREATED;
    }
  }
}

/** Whether they say the same, whenever they were stored. */
function isSame(a: Document, b: Document): boolean {
  const bare = ({ manifest, sources }: Document) => create(DocumentSchema, { manifest, sources });
  return equals(DocumentSchema, bare(a), bare(b));
}
