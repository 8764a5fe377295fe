// In which order the steps of a plan are done, and which chain of them takes longest. Pure.
import type { Attempt, Plan, PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { timeMs } from "../format.ts";
import { isJoin } from "../words.ts";

export type Order = {
  /** Steps that can run once those of the waves before have succeeded; joins and what is left out are in none. */
  waves: PlannedStep[][];
  leftOut: number;
  /** The steps of the longest chain, first to last. */
  path: { id: string; lengthMs: number }[];
  /** As long as the whole takes at least. */
  pathMs: number;
  /** How many of the steps have been done before, so that it is known how long they take. */
  known: number;
};

/** `attempts`: newest first. Without any, each step counts as long as another. */
export function orderOf({ steps }: Plan, attempts: readonly Attempt[]): Order {
  const lengths = lengthsOf(attempts);
  const work = steps.filter((step) => !isJoin(step) && !isLeftOut(step));
  const done = new Set(work.map(({ id }) => id));
  const lengthOf = (step: PlannedStep) =>
    done.has(step.id) ? (lengths.steps.get(step.id) ?? lengths.tasks.get(step.task) ?? 1000) : 0;
  const wave = new Map<string, number>();
  const waves: PlannedStep[][] = [];
  const ends = new Map<string, { ms: number; after: string | undefined }>();
  // The plan lists steps in an order in which they can run, so what a step requires is already known.
  for (const step of steps) {
    const level = step.requires.reduce((high, id) => Math.max(high, wave.get(id) ?? 0), 0);
    wave.set(step.id, level + (done.has(step.id) ? 1 : 0));
    if (done.has(step.id)) {
      const members = waves[level] ?? [];
      members.push(step);
      waves[level] = members;
    }
    const last = decisive(step, (id) => ends.get(id)?.ms ?? 0);
    ends.set(step.id, { ms: (last ? (ends.get(last)?.ms ?? 0) : 0) + lengthOf(step), after: last });
  }
  const path = pathOf(steps, ends).filter(({ id }) => done.has(id));
  const stepOf = new Map(work.map((step) => [step.id, step]));
  return {
    waves: waves.filter((members) => members !== undefined),
    leftOut: steps.filter((step) => !isJoin(step)).length - work.length,
    path: path.map(({ id }) => {
      const step = stepOf.get(id);
      return { id, lengthMs: step ? lengthOf(step) : 0 };
    }),
    pathMs: ends.values().reduce((high, { ms }) => Math.max(high, ms), 0),
    known: work.filter(({ id }) => lengths.steps.has(id)).length,
  };
}

/** Which of what a step requires ends last; of a join that needs only some, the last of these. */
export function decisive(step: PlannedStep, endOf: (id: string) => number): string | undefined {
  const { requires, action } = step;
  const need = action?.kind.case === "join" ? action.kind.value.need : 0;
  if (need > 0 && need < requires.length) {
    return requires.toSorted((a, b) => endOf(a) - endOf(b))[need - 1];
  }
  let last: string | undefined;
  for (const id of requires) if (last === undefined || endOf(id) > endOf(last)) last = id;
  return last;
}

/** How long each step took when it last succeeded, and the steps of each task on average, in milliseconds. */
function lengthsOf(attempts: readonly Attempt[]) {
  const steps = new Map<string, number>();
  for (const { node, task, state, startTime, endTime } of attempts) {
    const [start, end] = [timeMs(startTime), timeMs(endTime)];
    const id = `${node}/${task}`;
    if (state !== Step_State.SUCCEEDED || start === undefined || end === undefined || steps.has(id)) continue;
    steps.set(id, Math.max(0, end - start));
  }
  const tasks = new Map<string, number>();
  for (const [task, members] of Map.groupBy(steps, ([id]) => id.slice(id.indexOf("/") + 1))) {
    tasks.set(task, members.reduce((sum, [, ms]) => sum + ms, 0) / members.length);
  }
  return { steps, tasks };
}

function pathOf(
  steps: readonly PlannedStep[],
  ends: ReadonlyMap<string, { ms: number; after: string | undefined }>,
): { id: string }[] {
  let last: string | undefined;
  for (const { id } of steps) {
    if (last === undefined || (ends.get(id)?.ms ?? 0) > (ends.get(last)?.ms ?? 0)) last = id;
  }
  const path: { id: string }[] = [];
  for (let id = last; id !== undefined; id = ends.get(id)?.after) path.unshift({ id });
  return path;
}
