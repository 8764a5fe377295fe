// Which trees of files are needed: those that stored tasks name, and those that deployments bring to nodes.
import type { Deployment } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { isRunning } from "./schedule.ts";
import type { State } from "./state.ts";

/** Digests, hexadecimal. A deployment that has ended can be gone on with. */
export function neededTrees(state: State): Set<string> {
  return treesOf(state, () => true);
}

/** Without those of deployments that have ended: only what it takes to go on. */
export function treesToBackUp(state: State): Set<string> {
  return treesOf(state, isRunning);
}

function treesOf(state: State, counts: (deployment: Deployment) => boolean): Set<string> {
  const needed = new Set<string>();
  const add = (sources: Record<string, string> = {}) => {
    for (const digest of Object.values(sources)) needed.add(digest);
  };
  for (const { sources } of state.documents.values()) add(sources);
  for (const deployment of state.deployments.values()) {
    if (!counts(deployment)) continue;
    for (const { inputs } of deployment.plan?.steps ?? []) add(inputs?.sources);
  }
  return needed;
}
