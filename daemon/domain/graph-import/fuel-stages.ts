// Fuel's stages are tasks of no node that others stand before and after. Those that Muster has too become the `stage` of
// a task; one within such a stage becomes a task that does nothing and runs once.
import { matches, wordsIn } from "./fuel-names.ts";
import { type FuelTask, isRecord } from "./fuel-tasks.ts";

export type Stage = "pre_deployment" | "deploy" | "post_deployment";

export type Stages = {
  /** Only of tasks of the default graph. */
  stageOf(task: FuelTask): Stage;
  /** A stage that has to stay, as a task. */
  isBarrier(task: FuelTask): boolean;
};

/** Who stands before and after whom, over all nodes, in one graph. */
export type Relations = { before: Map<FuelTask, Set<FuelTask>>; after: Map<FuelTask, Set<FuelTask>> };

export function relationsOf(tasks: readonly FuelTask[]): Relations {
  const before = new Map(tasks.map((task) => [task, new Set<FuelTask>()]));
  const after = new Map(tasks.map((task) => [task, new Set<FuelTask>()]));
  const found = new Map<string, FuelTask[]>();
  const named = (word: string): FuelTask[] => {
    const known = found.get(word) ?? tasks.filter(({ id }) => matches(word, id));
    found.set(word, known);
    return known;
  };
  for (const task of tasks) {
    if (task.type === "group") continue;
    const relate = (first: FuelTask, then: FuelTask) => {
      if (first === then || first.type === "group" || then.type === "group") return;
      before.get(then)?.add(first);
      after.get(first)?.add(then);
    };
    const { requires, required_for, ...cross } = task.fields;
    for (const word of [...wordsIn([requires]), ...crossNames(cross["cross-depends"])]) {
      for (const other of named(word)) relate(other, task);
    }
    for (const word of [...wordsIn([required_for]), ...crossNames(cross["cross-depended-by"])]) {
      for (const other of named(word)) relate(task, other);
    }
  }
  return { before, after };
}

function crossNames(value: unknown): string[] {
  const entries: unknown[] = Array.isArray(value) ? value : [];
  return wordsIn(entries.map((entry) => (isRecord(entry) ? entry.name : undefined)));
}

export function stagesOf(tasks: readonly FuelTask[], { before, after }: Relations): Stages {
  const named = (...ids: string[]) => tasks.filter(({ id, type }) => type === "stage" && ids.includes(id));
  const early = reach(before, named("pre_deployment_end", "deploy_start"));
  const late = reach(after, named("deploy_end", "post_deployment_start"));
  const stageOf = (task: FuelTask): Stage => {
    if (early.has(task)) return "pre_deployment";
    return late.has(task) ? "post_deployment" : "deploy";
  };
  const barriers = new Set(
    tasks.filter((task) => {
      if (task.type !== "stage") return false;
      const first = new Set([...beyondStages(before, task)].map(stageOf));
      return [...beyondStages(after, task)].some((then) => first.has(stageOf(then)));
    }),
  );
  return { stageOf, isBarrier: (task) => barriers.has(task) };
}

function reach(edges: Relations["before"], from: FuelTask[]): Set<FuelTask> {
  const reached = new Set(from);
  // Grows while it is read.
  for (const task of reached) for (const next of edges.get(task) ?? []) reached.add(next);
  return reached;
}

/** The nearest tasks that are no stages. */
function beyondStages(edges: Relations["before"], stage: FuelTask): Set<FuelTask> {
  const found = new Set<FuelTask>();
  const seen = new Set([stage]);
  for (const one of seen) {
    for (const next of edges.get(one) ?? []) (next.type === "stage" ? seen : found).add(next);
  }
  return found;
}
