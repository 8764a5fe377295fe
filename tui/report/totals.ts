// Sums over a deployment: what each task and role took, which steps were the slowest, what failed. Pure.
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Bar, Timeline } from "./timeline.ts";
import type { Cause, Wait } from "./waits.ts";

export type Total = {
  name: string;
  steps: number;
  attempts: number;
  failedAttempts: number;
  /** Of all its attempts, the longest of them, and those of the average step; milliseconds. */
  sum: number;
  longest: number;
  average: number;
  /** How long its steps waited for something other than the steps that they require. */
  waited: number;
};

export type Failure = {
  step: string;
  number: number;
  state: Step_State;
  reason: string;
  end: number;
  last: boolean;
};

export function totalsBy(timeline: Timeline, waits: readonly Wait[], key: "task" | "role"): Total[] {
  const waitedOf = new Map<string, number>();
  for (const { step, cause, from, to } of waits) {
    if (cause !== "requirement") waitedOf.set(step, (waitedOf.get(step) ?? 0) + to - from);
  }
  const totals = [...Map.groupBy(timeline.steps, (step) => step[key])].map(([name, steps]) => {
    const begun = steps.filter(({ bars }) => bars.length > 0);
    const bars = begun.flatMap((step) => step.bars);
    const sum = bars.reduce((total, { start, end }) => total + end - start, 0);
    return {
      name,
      steps: begun.length,
      attempts: bars.length,
      failedAttempts: bars.filter(({ state }) => state === Step_State.FAILED).length,
      sum,
      longest: bars.reduce((high, { start, end }) => Math.max(high, end - start), 0),
      average: begun.length ? sum / begun.length : 0,
      waited: steps.reduce((total, { id }) => total + (waitedOf.get(id) ?? 0), 0),
    };
  });
  return totals.filter(({ attempts }) => attempts > 0);
}

/** The longest attempts, longest first. */
export function slowest({ steps }: Timeline, count: number): Bar[] {
  const bars = steps.flatMap((step) => step.bars);
  return bars.sort((a, b) => b.end - b.start - (a.end - a.start)).slice(0, count);
}

/** Attempts that failed or were cancelled, in order of their ends; `last`: the step was not tried again after it. */
export function failures({ steps }: Timeline): Failure[] {
  return steps
    .flatMap(({ bars }) =>
      bars
        .filter(({ state }) => state === Step_State.FAILED || state === Step_State.CANCELLED)
        .map(
          (bar): Failure => ({
            step: bar.step,
            number: bar.number,
            state: bar.state,
            reason: bar.reason,
            end: bar.end,
            last: bar === bars.at(-1),
          }),
        ),
    )
    .sort((a, b) => a.end - b.end);
}

/** How long steps waited for each kind of thing. */
export function waitedFor(waits: readonly Wait[]): Map<Cause, { steps: number; sum: number }> {
  const sums = new Map<Cause, { steps: number; sum: number }>();
  for (const [cause, own] of Map.groupBy(waits, (wait) => wait.cause)) {
    sums.set(cause, {
      steps: new Set(own.map(({ step }) => step)).size,
      sum: own.reduce((total, { from, to }) => total + to - from, 0),
    });
  }
  return sums;
}
