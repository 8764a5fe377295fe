// Which nodes a graph's tasks run on.
import type { ClusterNode } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import { matcher } from "./task-words.ts";

/** A node in a cluster, as far as tasks mind. */
export type Place = Pick<ClusterNode, "node" | "role" | "hostname">;

/** A task and its steps: their ids by node, in the order of the cluster's manifest. */
export type Spread = { task: TaskSpec; places: readonly Place[]; ids: ReadonlyMap<string, string> };

export const defaultGraph = "default";
export const deletionGraph = "deletion";

export function isInGraph({ graphs }: TaskSpec, graph: string): boolean {
  return graphs.length ? graphs.includes(graph) : graph === defaultGraph;
}

/** The tasks of a graph that any of these nodes run. */
export function spreadTasks(tasks: readonly TaskSpec[], graph: string, places: readonly Place[]): Spread[] {
  return tasks
    .filter((task) => isInGraph(task, graph))
    .map((task) => spread(task, placesOf(task, places)))
    .filter(({ places }) => places.length > 0);
}

function spread(task: TaskSpec, places: readonly Place[]): Spread {
  return { task, places, ids: new Map(places.map(({ node }) => [node, `${node}/${task.name}`])) };
}

function placesOf({ roles, runOnce, delegateTo }: TaskSpec, places: readonly Place[]): readonly Place[] {
  const own = ofRoles(places, roles);
  if (!runOnce) return own;
  // What no node of its roles asks for, nobody does for them.
  const chosen = delegateTo && own.length ? ofRoles(places, [delegateTo]) : own;
  return chosen.slice(0, 1);
}

export function ofRoles(places: readonly Place[], words: readonly string[]): readonly Place[] {
  const matchers = words.map(matcher);
  const known = new Map<string, boolean>();
  return places.filter(({ role }) => {
    const is = known.get(role) ?? matchers.some((matches) => matches(role));
    known.set(role, is);
    return is;
  });
}
