// What `muster assign` has given a cluster stays its own when its manifest is applied again, which does not name it.
import type { ClusterSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { State } from "./state.ts";

/** The spec with the nodes that the stored one has for its wanted roles, as many as are wanted beside those it names. */
export function withAssigned({ clusters }: Pick<State, "clusters">, spec: ClusterSpec): ClusterSpec {
  const named = new Set(spec.nodes.map(({ node }) => node));
  const stored = clusters.get(spec.name)?.spec?.nodes.filter(({ node }) => !named.has(node)) ?? [];
  const kept = spec.wants.flatMap(({ role, count }) => {
    const has = spec.nodes.filter((node) => node.role === role).length;
    return stored.filter((node) => node.role === role).slice(0, Math.max(0, count - has));
  });
  return kept.length ? { ...spec, nodes: [...spec.nodes, ...kept] } : spec;
}
