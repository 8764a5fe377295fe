// How many nodes of a role a cluster may have, and which roles may stand beside one another.
import type { ClusterSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { State } from "./state.ts";

/** Why nothing may be assigned; of no role if it is the whole cluster. */
export type AssignFault = { role: string; description: string };

/** How many nodes of each role the cluster will have: what it wants, or has if that is more. */
function totals({ nodes, wants }: ClusterSpec): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { role } of nodes) counts.set(role, (counts.get(role) ?? 0) + 1);
  for (const { role, count } of wants) counts.set(role, Math.max(count, counts.get(role) ?? 0));
  return counts;
}

export function limitFaults(state: State, spec: ClusterSpec): AssignFault[] {
  const counts = totals(spec);
  return [...counts].flatMap(([role, count]) => {
    const { min = 0, max = 0, conflicts = [] } = state.role(role) ?? {};
    const foes = conflicts.filter((other) => counts.has(other));
    const descriptions = [
      count < min && `it would have ${count} of the ${min} nodes that it needs at least`,
      max > 0 && count > max && `it would have ${count} nodes, and may have ${max} at most`,
      foes.length > 0 && `it cannot be in one cluster with ${foes.join(", ")}`,
    ];
    return descriptions.flatMap((description) => (description ? [{ role, description }] : []));
  });
}

export function limitWarnings(state: State, spec: ClusterSpec): string[] {
  return [...totals(spec)].flatMap(([role, count]) => {
    const recommended = state.role(role)?.recommended ?? 0;
    const wanted = spec.wants.find((want) => want.role === role)?.count ?? count;
    return [
      ...(count < recommended
        ? [`role ${role} will have ${count} of the ${recommended} nodes that are recommended`]
        : []),
      ...(count > wanted
        ? [`role ${role} has ${count} nodes, of which ${wanted} would do; none is taken away`]
        : []),
    ];
  });
}
