// The critical path of what has happened: back from the step that ended last, each time to what let it begin. Pure.
import type { Bar, StepTimes, Timeline } from "./timeline.ts";

export type Link = {
  step: string;
  start: number;
  end: number;
  /** Until it began, after what came before it had ended. */
  waited: number;
  /** Why it came after the one before: empty of the first. */
  why: "" | "requires it" | "same node" | "limit" | "tried again";
};

/** First to last. */
export function chainOf({ start, steps, byId, ofNode, ofTask }: Timeline): Link[] {
  const bars = steps.flatMap((step) => step.bars);
  let bar = bars.reduce<Bar | undefined>(
    (last, one) => (last && last.end >= one.end ? last : one),
    undefined,
  );
  const chain: Link[] = [];
  while (bar) {
    const step = byId.get(bar.step);
    const before = step && releaser(step, bar, byId, ofNode, ofTask);
    const link = { step: bar.step, start: bar.start, end: bar.end };
    chain.unshift({ ...link, waited: bar.start - (before?.bar.end ?? start), why: before?.why ?? "" });
    bar = before?.bar;
  }
  return chain;
}

type Released = { bar: Bar; why: Link["why"] };

/** What ended last of all that it waited for. */
function releaser(
  step: StepTimes,
  bar: Bar,
  byId: Timeline["byId"],
  ofNode: Timeline["ofNode"],
  ofTask: Timeline["ofTask"],
): Released | undefined {
  const required = step.readyAfter === undefined ? undefined : byId.get(step.readyAfter)?.bars.at(-1);
  const own = step.bars[step.bars.indexOf(bar) - 1];
  const ready = step.ready ?? bar.start;
  const candidates: Released[] = [];
  if (required) candidates.push({ bar: required, why: "requires it" });
  if (own) candidates.push({ bar: own, why: "tried again" });
  // Whatever ended before it could begin kept it from nothing.
  const late = (bars: readonly Bar[] = []) => latest(bars, bar.start, ready, bar);
  const busy = late(ofNode.get(step.node));
  if (busy) candidates.push({ bar: busy, why: "same node" });
  const { limit } = step.planned;
  const room = limit > 0 ? late(ofTask.get(step.task)) : undefined;
  if (room && runningAt(ofTask.get(step.task) ?? [], room.end - 1) >= limit)
    candidates.push({ bar: room, why: "limit" });
  const before = candidates.filter(({ bar: { end, start } }) => end <= bar.start && start < bar.start);
  return before.reduce<Released | undefined>(
    (last, one) => (last && last.bar.end >= one.bar.end ? last : one),
    undefined,
  );
}

/** The one that ended last in a span, other than itself. */
function latest(bars: readonly Bar[], to: number, after: number, self: Bar): Bar | undefined {
  let last: Bar | undefined;
  for (const bar of bars) {
    if (bar !== self && bar.end <= to && bar.end > after && (!last || bar.end > last.end)) last = bar;
  }
  return last;
}

function runningAt(bars: readonly Bar[], moment: number): number {
  return bars.filter(({ start, end }) => start <= moment && end > moment).length;
}
