// Whether a node runs from its own disks, as a node of this cluster.
import type { State } from "./state.ts";

/** The record goes when its disks are about to be wiped. */
export function isInstalled(state: State, cluster: string, node: string): boolean {
  return (
    state.nodes.get(node)?.cluster === cluster && state.taskRecords.get(node)?.get("reboot") !== undefined
  );
}
