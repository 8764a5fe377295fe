// Why steps did not begin at once: for each, what it waited for and how long. Pure.
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { clean, durationMs } from "../format.ts";
import type { Bar, StepTimes, Timeline } from "./timeline.ts";

/** What a step waited for: other steps; that no more of its task may run; its node's other step; a go; its next try. */
export type Cause = "requirement" | "limit" | "busy" | "hold" | "retry" | "node";

export type Wait = { step: string; cause: Cause; from: number; to: number; words: string };

/** Shorter waits are how long it takes to hand a step over, and are not told. */
const untold = 1000;
const usualInterval = 5000;
const usualBackoff = 2;
const longestInterval = 300_000;

type Span = { from: number; to: number };

export function waitsOf(timeline: Timeline): Wait[] {
  const full = fullSpans(timeline);
  return timeline.steps
    .flatMap((step) => waitsOfStep(step, timeline, full))
    .filter(({ from, to }) => to - from >= untold);
}

function waitsOfStep(step: StepTimes, timeline: Timeline, full: ReadonlyMap<string, Span[]>): Wait[] {
  const waits: Wait[] = [];
  const told = (cause: Cause, from: number, to: number, words: string) => {
    if (to > from) waits.push({ step: step.id, cause, from, to, words });
  };
  const [first] = step.bars;
  const open = timeline.ended ? undefined : timeline.end;
  const begun = first?.start ?? (step.state === Step_State.BLOCKED ? undefined : open);
  if (begun === undefined) return [];
  const ready = step.ready ?? begun;
  if (step.readyAfter) told("requirement", timeline.start, Math.min(ready, begun), `for ${step.readyAfter}`);
  // What has not begun and cannot yet is not kept by anything else.
  if (first || step.state === Step_State.READY) {
    waits.push(...idle(step, { from: ready, to: begun }, timeline, full));
  }
  for (const [i, bar] of step.bars.entries()) {
    const next = step.bars[i + 1];
    if (!next) break;
    const pause = Math.min(bar.end + intervalOf(step, bar.number), next.start);
    told("retry", bar.end, pause, `for attempt ${next.number}`);
    waits.push(...idle(step, { from: pause, to: next.start }, timeline, full));
  }
  return waits;
}

/** As the daemon counts them: the first interval, and by how much each is longer than the one before. */
function intervalOf({ planned: { interval, backoff } }: StepTimes, attempt: number): number {
  const first = interval ? durationMs(interval) : usualInterval;
  return Math.min(first * (backoff || usualBackoff) ** (attempt - 1), longestInterval);
}

/** A time in which all that it requires was done, in pieces by what kept it. */
function idle(step: StepTimes, span: Span, timeline: Timeline, full: ReadonlyMap<string, Span[]>): Wait[] {
  const waits: Wait[] = [];
  let rest = [span];
  const take = (cause: Cause, piece: Span, words: string) => {
    const shared = rest.flatMap((one) => overlap(one, piece));
    rest = rest.flatMap((one) => without(one, piece));
    waits.push(...shared.map(({ from, to }) => ({ step: step.id, cause, from, to, words })));
  };
  for (const bar of between(timeline.ofNode.get(step.node) ?? [], span)) {
    if (bar.step !== step.id)
      take("busy", { from: bar.start, to: bar.end }, `for its node, busy with ${bar.task}`);
  }
  const { limit } = step.planned;
  if (limit > 0) {
    for (const piece of full.get(step.task) ?? []) {
      if (piece.to > span.from && piece.from < span.to)
        take("limit", piece, `until fewer than ${limit} of its task ran`);
    }
  }
  const cause = step.planned.hold ? "hold" : "node";
  const usual = cause === "hold" ? "for a go" : "for its node's agent, or the end of a stop";
  // Of a step that waits now, the daemon has said why.
  const words = step.state === Step_State.READY && step.reason ? clean(step.reason) : usual;
  for (const { from, to } of rest) waits.push({ step: step.id, cause, from, to, words });
  return waits.sort((a, b) => a.from - b.from);
}

/** Attempts that ran within a span. Those of one node do not overlap, so none is long before. */
function between(bars: readonly Bar[], { from, to }: Span): Bar[] {
  return bars.filter((bar) => bar.end > from && bar.start < to);
}

/** When as many steps of a task ran as may, for tasks with a limit. */
function fullSpans({ steps, ofTask }: Timeline): Map<string, Span[]> {
  const limits = new Map(
    steps.filter(({ planned }) => planned.limit > 0).map(({ task, planned }) => [task, planned.limit]),
  );
  const spans = new Map<string, Span[]>();
  for (const [task, limit] of limits) {
    const changes = (ofTask.get(task) ?? []).flatMap(({ start, end }) => [
      { at: start, by: 1 },
      { at: end, by: -1 },
    ]);
    // What ends makes room before the next begins.
    changes.sort((a, b) => a.at - b.at || a.by - b.by);
    const own: Span[] = [];
    let running = 0;
    let since: number | undefined;
    for (const { at, by } of changes) {
      running += by;
      if (running >= limit) since ??= at;
      else if (since !== undefined) {
        if (at > since) own.push({ from: since, to: at });
        since = undefined;
      }
    }
    // The next begins a moment after the last has ended: as long as that is short, it was full all the time.
    spans.set(task, joined(own));
  }
  return spans;
}

function joined(spans: Span[]): Span[] {
  const all: Span[] = [];
  for (const span of spans) {
    const last = all.at(-1);
    if (last && span.from - last.to < untold) last.to = span.to;
    else all.push({ ...span });
  }
  return all;
}

function overlap(a: Span, b: Span): Span[] {
  const [from, to] = [Math.max(a.from, b.from), Math.min(a.to, b.to)];
  return to > from ? [{ from, to }] : [];
}

function without(a: Span, b: Span): Span[] {
  if (overlap(a, b).length === 0) return [a];
  return [
    { from: a.from, to: Math.max(a.from, b.from) },
    { from: Math.min(a.to, b.to), to: a.to },
  ].filter(({ from, to }) => to > from);
}
