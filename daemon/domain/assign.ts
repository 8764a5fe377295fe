// Which nodes a cluster gets for the roles that it wants: those that it has are kept, and of the free ones the smallest
// that meet the requirements are chosen, spread over racks or whatever else the manifest names. Every node that is not
// chosen has a reason.
import { create } from "@bufbuild/protobuf";
import { FilterError } from "../../proto/filter/filter-error.ts";
import { foldNodes } from "../../proto/filter/node-list.ts";
import {
  type AssignedNode,
  AssignedNodeSchema,
  type Cluster,
  type RejectedNode,
  RejectedNodeSchema,
} from "../../proto/gen/muster/v1/cluster_pb.ts";
import type { ClusterSpec, RoleSpec, WantedRole } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { bySize, requirementsOf, sizeText, standings } from "./assign-candidates.ts";
import { type AssignFault, limitFaults, limitWarnings } from "./assign-limits.ts";
import { type Choice, type Matching, match, type Want } from "./assign-matching.ts";
import type { State } from "./state.ts";

/** With a fault nothing may be assigned. */
export type Assignment = {
  assigned: AssignedNode[];
  rejected: RejectedNode[];
  warnings: string[];
  faults: AssignFault[];
};

/** What is known of one wanted role before anything is chosen. */
type Asked = {
  wanted: WantedRole;
  lacks: number;
  /** Free nodes by name, with what each does not meet. */
  misses: Map<string, string[]>;
};

export function assign(state: State, { name, spec }: Cluster): Assignment {
  const faults: AssignFault[] = [];
  if (!spec?.wants.length) {
    const description = `cluster ${name} says no \`wants\`, from which nodes could be proposed`;
    return { assigned: [], rejected: [], warnings: [], faults: [{ role: "", description }] };
  }
  const standing = standings(state, name);
  const own = new Set(spec.nodes.map(({ node }) => node));
  const others = [...state.nodes.values()].filter((node) => !own.has(node.name)).sort(bySize);
  const free = others.filter((node) => standing.get(node.name) === undefined);
  const asked: Asked[] = [];
  for (const wanted of spec.wants) {
    const role = state.role(wanted.role);
    if (!role) faults.push({ role: wanted.role, description: "there is no such role" });
    else faults.push(...ask(state, spec, wanted, role, free, asked));
  }
  faults.push(...limitFaults(state, spec));
  if (faults.length) return { assigned: [], rejected: [], warnings: [], faults };

  const placeOf = placesOf(state, spec.wants);
  const matching = match(
    asked.map((each) => wantOf(each, spec, placeOf)),
    placeOf,
  );
  const busy = others.flatMap((node) => {
    const reason = standing.get(node.name);
    return reason === undefined ? [] : [create(RejectedNodeSchema, { node: node.name, reason })];
  });
  const rejected = [...busy, ...asked.flatMap((each) => rejectedFor(each, matching, free))];
  return {
    assigned: [...kept(spec), ...chosen(asked, matching, state, placeOf)],
    rejected,
    warnings: [...limitWarnings(state, spec)],
    faults: asked.flatMap((each) => shortFault(each, matching, busy)),
  };
}

/** Adds what is known of the role; answers with what is wrong with its requirements. */
function ask(
  state: State,
  spec: ClusterSpec,
  wanted: WantedRole,
  role: RoleSpec,
  free: readonly Node[],
  asked: Asked[],
): AssignFault[] {
  try {
    const missesOf = requirementsOf(state, [role.requirements, wanted.requirements]);
    const misses = new Map(free.map((node) => [node.name, missesOf(node)]));
    const has = spec.nodes.filter((node) => node.role === wanted.role).length;
    asked.push({ wanted, lacks: Math.max(0, wanted.count - has), misses });
    return [];
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return [{ role: wanted.role, description: `its requirements cannot be read: ${error.message}` }];
  }
}

type PlaceOf = (role: string, node: string) => string;

/** The value of the label by which a role is spread; the same for all nodes where it is not. */
function placesOf(state: State, wants: readonly WantedRole[]): PlaceOf {
  const labels = new Map(wants.map(({ role, spread }) => [role, spread]));
  return (role, node) => {
    const label = labels.get(role);
    return (label && state.nodes.get(node)?.spec?.labels[label]) || "";
  };
}

function wantOf({ wanted: { role }, lacks, misses }: Asked, spec: ClusterSpec, placeOf: PlaceOf): Want {
  const places = new Map<string, number>();
  for (const { node } of spec.nodes.filter((each) => each.role === role)) {
    const place = placeOf(role, node);
    places.set(place, (places.get(place) ?? 0) + 1);
  }
  const candidates = [...misses].filter(([, missed]) => missed.length === 0).map(([node]) => node);
  return { role, lacks, candidates, places };
}

function kept({ nodes }: ClusterSpec): AssignedNode[] {
  return nodes.map(({ node, role }) =>
    create(AssignedNodeSchema, { node, role, kept: true, reason: "the cluster has it already" }),
  );
}

/** In the order of the roles, then of the nodes' names. */
function chosen(
  asked: readonly Asked[],
  { choices }: Matching,
  state: State,
  placeOf: PlaceOf,
): AssignedNode[] {
  return asked.flatMap(({ wanted }) =>
    [...choices]
      .filter(([, { role }]) => role === wanted.role)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([node, choice]) => {
        const reason = reasonOf(state.nodes.get(node), wanted, choice, placeOf(wanted.role, node));
        return create(AssignedNodeSchema, { node, role: wanted.role, reason });
      }),
  );
}

function reasonOf(node: Node | undefined, { spread }: WantedRole, choice: Choice, place: string): string {
  const size = node ? sizeText(node) : "";
  const parts = [
    choice.exchanged && "only so does every role get its nodes",
    spread && `${spread} ${place || "(none)"} had ${choice.beside || "none"} of them, the fewest`,
    !choice.exchanged && size ? `the smallest that does: ${size}` : size,
  ];
  return parts.filter(Boolean).join("; ");
}

/** Why the free nodes that nobody has got have not got this role. */
function rejectedFor(
  { wanted: { role }, lacks, misses }: Asked,
  { choices, short }: Matching,
  free: readonly Node[],
): RejectedNode[] {
  const takers = [...choices].filter(([, choice]) => choice.role === role).map(([node]) => node);
  return free.flatMap(({ name }) => {
    const missed = misses.get(name) ?? [];
    if (choices.has(name)) return [];
    if (missed.length === 0 && short.has(role)) return [];
    const enough =
      lacks === 0
        ? "the cluster has all nodes of the role already"
        : `the role has all its nodes, smaller ones or in emptier places: ${foldNodes(takers)}`;
    const reason = missed.length ? `it does not meet ${missed.join(" and ")}` : enough;
    return [create(RejectedNodeSchema, { node: name, role, reason })];
  });
}

/** A role that lacks nodes, and why the others are none for it. `busy`: those that are not free for any role. */
function shortFault(
  { wanted: { role, count }, misses }: Asked,
  { choices, short }: Matching,
  busy: readonly RejectedNode[],
): AssignFault[] {
  const lacks = short.get(role);
  if (!lacks) return [];
  const others = [...misses].filter(([node]) => choices.get(node)?.role !== role);
  const reasons: [node: string, reason: string][] = [
    ...busy.map(({ node, reason }): [string, string] => [node, reason]),
    ...others.map(([node, missed]): [string, string] => [
      node,
      missed.length ? `it does not meet ${missed.join(" and ")}` : "another role needs it",
    ]),
  ];
  const lines = [...Map.groupBy(reasons, ([, reason]) => reason)].map(
    ([reason, nodes]) => `${foldNodes(nodes.map(([node]) => node))}: ${reason}`,
  );
  return [{ role, description: [`of ${count} nodes ${lacks} cannot be found`, ...lines].join("\n") }];
}
