// Which nodes may be given to a cluster at all, and which of them meet what a role asks of them: each with the reason
// why not.
import { parseFilter } from "../../proto/filter/filter.ts";
import { numberText } from "../../proto/filter/numbers.ts";
import { type Node, Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { isBusy } from "./node.ts";
import { nodeFieldsOf } from "./node-choice.ts";
import type { State } from "./state.ts";

/** Of every node by name: why it is not free for the cluster; undefined if it is. */
export function standings(state: State, cluster: string): Map<string, string | undefined> {
  const owners = new Map<string, string>();
  for (const { name, spec } of state.clusters.values())
    for (const { node } of spec?.nodes ?? []) owners.set(node, name);
  return new Map(
    [...state.nodes.values()].map((node) => [
      node.name,
      standing(node, owners.get(node.name) || node.cluster, cluster),
    ]),
  );
}

function standing(node: Node, owner: string, cluster: string): string | undefined {
  if (owner === cluster)
    return "it is still deployed with this cluster, which does not name it: release it first";
  if (owner) return `it belongs to cluster ${owner}`;
  if (node.retired) return "it is retired";
  if (node.protected) return "it is protected";
  if (node.maintenance)
    return `it is in maintenance${node.maintenanceReason ? ` (${node.maintenanceReason})` : ""}`;
  switch (node.state) {
    case Node_State.AVAILABLE:
      return undefined;
    case Node_State.DISCOVERED:
      return node.spec ? undefined : "its agent has not spoken, and no manifest declares it";
    case Node_State.AWAITING_APPROVAL:
      return "it awaits approval";
    case Node_State.ERROR:
    case Node_State.LOST:
      return `it has failed${node.reason ? `: ${node.reason}` : ""}`;
    default:
      return isBusy(node.state) ? "a deployment is changing it" : "it is deployed";
  }
}

/** What a node does not meet of some filters, in their words; empty if it meets them. Throws FilterError. */
export function requirementsOf(state: State, filters: readonly string[]): (node: Node) => string[] {
  const fields = nodeFieldsOf(state);
  const parsed = filters.map((filter) => parseFilter(filter, fields));
  return (node) => parsed.flatMap(({ misses }) => misses(node));
}

/** The smallest first: big machines are left to those who need them. */
export function bySize(a: Node, b: Node): number {
  return (
    Number(memoryOf(a) - memoryOf(b)) ||
    threadsOf(a) - threadsOf(b) ||
    disksOf(a) - disksOf(b) ||
    (a.name < b.name ? -1 : 1)
  );
}

/** `64 GiB of memory, 16 threads`; empty if its hardware is not known yet. */
export function sizeText(node: Node): string {
  if (!node.inventory) return "";
  return `${numberText(Number(memoryOf(node)), "size")} of memory, ${threadsOf(node)} threads`;
}

const memoryOf = ({ inventory }: Node) => inventory?.memoryBytes ?? 0n;
const threadsOf = ({ inventory }: Node) => inventory?.cpu?.threads ?? 0;
const disksOf = ({ inventory }: Node) =>
  (inventory?.disks ?? []).reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
