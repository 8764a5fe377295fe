// What became of every step of a deployment, as times: when it could have begun, what it waited for, when each attempt ran.
// Pure; everything in milliseconds since 1970.
import {
  type Attempt,
  type Deployment,
  Deployment_State,
  type PlannedStep,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { timeMs } from "../format.ts";
import { decisive } from "../graph/order.ts";
import { isJoin } from "../words.ts";

export type Bar = {
  step: string;
  node: string;
  task: string;
  number: number;
  state: Step_State;
  outcome: TaskOutcome;
  start: number;
  /** Now, if it still runs. */
  end: number;
  reason: string;
};

export type StepTimes = {
  id: string;
  node: string;
  role: string;
  task: string;
  planned: PlannedStep;
  state: Step_State;
  outcome: TaskOutcome;
  reason: string;
  bars: Bar[];
  /** When all that it requires was done: the deployment's start if it requires nothing. */
  ready: number | undefined;
  /** What was done last of it; joins stand for what they waited for. */
  readyAfter: string | undefined;
  /** When it had succeeded, or was done without an attempt; undefined if it has not. */
  done: number | undefined;
};

export type Timeline = {
  deployment: Deployment;
  start: number;
  end: number;
  ended: boolean;
  /** In the order of the plan, without joins. */
  steps: StepTimes[];
  byId: ReadonlyMap<string, StepTimes>;
  /** Attempts of each node and of each task, by start. */
  ofNode: ReadonlyMap<string, Bar[]>;
  ofTask: ReadonlyMap<string, Bar[]>;
};

export function timelineOf(
  deployment: Deployment,
  steps: readonly Step[],
  attempts: readonly Attempt[],
  now: number,
): Timeline {
  const start = timeMs(deployment.startTime) ?? now;
  const ended = timeMs(deployment.endTime);
  const end = ended ?? now;
  const stepOf = new Map(steps.map((step) => [`${step.node}/${step.task}`, step]));
  const bars = barsOf(steps, attempts, end);
  const ofStep = Map.groupBy(bars, ({ step }) => step);
  const roleOf = new Map(deployment.plan?.nodes.map(({ node, role }) => [node, role]));
  const over = new Map<string, { at: number; by: string }>();
  const all: StepTimes[] = [];
  // The plan lists steps in an order in which they can run, so what a step requires is already known.
  for (const planned of deployment.plan?.steps ?? []) {
    const { id, node, task } = planned;
    const own = ofStep.get(id) ?? [];
    const ready = readyAt(
      planned,
      over,
      own.length > 0 || stepOf.get(id)?.state === Step_State.SUCCEEDED,
    ) ?? { at: start, by: "" };
    if (isJoin(planned)) {
      const at = timeMs(stepOf.get(id)?.endTime) ?? ready.at;
      if (Number.isFinite(at)) over.set(id, { at, by: ready.by });
      continue;
    }
    const step = stepOf.get(id);
    const done = isLeftOut(planned) ? start : doneAt(step, own, ready.at);
    // What failed and was tried no more may be no matter to what comes after it.
    const at = done ?? own.at(-1)?.end;
    if (at !== undefined) over.set(id, { at, by: id });
    all.push({
      id,
      node,
      role: roleOf.get(node) ?? "",
      task,
      planned,
      state: step?.state ?? Step_State.SKIPPED,
      outcome: step?.outcome ?? 0,
      reason: reasonOf(planned, step, own),
      bars: own,
      ready: Number.isFinite(ready.at) ? ready.at : undefined,
      readyAfter: ready.by || undefined,
      done,
    });
  }
  return {
    deployment,
    start,
    end,
    ended: deployment.state !== Deployment_State.RUNNING && deployment.state !== Deployment_State.STOPPING,
    steps: all,
    byId: new Map(all.map((step) => [step.id, step])),
    ofNode: Map.groupBy(bars, ({ node }) => node),
    ofTask: Map.groupBy(bars, ({ task }) => task),
  };
}

/**
 * When all that a step requires was over, and what was it last; nothing if it requires nothing, infinite if something
 * was not. Of a step that has `begun` all the same, that was no matter.
 */
function readyAt(
  planned: PlannedStep,
  over: ReadonlyMap<string, { at: number; by: string }>,
  begun: boolean,
): { at: number; by: string } | undefined {
  const unknown = begun ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const last = decisive(planned, (required) => over.get(required)?.at ?? unknown);
  if (last === undefined) return undefined;
  return over.get(last) ?? (begun ? undefined : { at: Number.POSITIVE_INFINITY, by: "" });
}

/** Why it stands where it stands; of a step that succeeded without an attempt, why nothing was done. */
function reasonOf(
  { unchangedSince, skippedBecause }: PlannedStep,
  step: Step | undefined,
  bars: Bar[],
): string {
  if (skippedBecause || unchangedSince) return skippedBecause || `unchanged since ${unchangedSince}`;
  return step?.reason || (bars.length ? "" : (step?.result ?? ""));
}

/** Attempts that have ended, and those that run, by start. */
function barsOf(steps: readonly Step[], attempts: readonly Attempt[], end: number): Bar[] {
  const bars: Bar[] = [];
  for (const { node, task, number, state, outcome, startTime, endTime, reason } of attempts) {
    const from = timeMs(startTime);
    if (from === undefined) continue;
    bars.push({
      step: `${node}/${task}`,
      node,
      task,
      number,
      state,
      outcome,
      start: from,
      end: timeMs(endTime) ?? end,
      reason,
    });
  }
  const known = new Set(bars.map(({ step, number }) => `${step}/${number}`));
  for (const { node, task, attempt, state, outcome, startTime, endTime, reason } of steps) {
    const from = timeMs(startTime);
    const id = `${node}/${task}`;
    // An attempt may be forgotten, or be one that runs.
    if (from === undefined || attempt === 0 || known.has(`${id}/${attempt}`)) continue;
    bars.push({
      step: id,
      node,
      task,
      number: attempt,
      state,
      outcome,
      start: from,
      end: timeMs(endTime) ?? end,
      reason,
    });
  }
  return bars.sort((a, b) => a.start - b.start || a.end - b.end);
}

function doneAt(step: Step | undefined, bars: Bar[], ready: number): number | undefined {
  if (step?.state !== Step_State.SUCCEEDED && step?.state !== Step_State.SKIPPED) return undefined;
  return (
    bars.findLast(({ state }) => state === Step_State.SUCCEEDED)?.end ??
    timeMs(step.endTime) ??
    bars.at(-1)?.end ??
    ready
  );
}
