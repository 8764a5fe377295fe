// Which graph a plan is of, and which ones follow it.
import type { GraphSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import type { State } from "./state.ts";
import { defaultGraph, deletionGraph } from "./task-spread.ts";

/** There without a manifest. */
export const builtInGraphs: readonly string[] = [defaultGraph, deletionGraph];

/** `graphs`: as asked for; none is `default`. A graph that is a sequence stands for the graphs in it. */
export function chooseGraph(
  state: State,
  graphs: readonly string[],
): { graph: string; sequence: string[] } | { fault: string } {
  const declared = state.graphs();
  const known = [...new Set([...builtInGraphs, ...declared.keys()])];
  const unknown = graphs.find((name) => !known.includes(name));
  if (unknown !== undefined) return { fault: `there is no graph ${unknown}${hintFor(unknown, known)}` };
  const [graph = defaultGraph, ...sequence] = graphs.flatMap((name) => expand(declared, name, []));
  return { graph, sequence };
}

/** Manifests with a graph that would come back to itself are refused; `above` is for what is stored all the same. */
function expand(declared: ReadonlyMap<string, GraphSpec>, name: string, above: readonly string[]): string[] {
  const { sequence = [], onSuccess = "" } = declared.get(name) ?? {};
  if (sequence.length === 0 || above.includes(name)) return [name];
  const all = onSuccess ? [...sequence, onSuccess] : sequence;
  return all.flatMap((next) => expand(declared, next, [...above, name]));
}
