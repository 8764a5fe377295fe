// How long an attempt may take, and how long a step waits for its next one.
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";

type Times = Pick<PlannedStep, "timeout" | "interval" | "backoff">;

/** What the daemon adds to a step's timeout before it stops to wait for the agent's own word. */
const deadlineSlackMs = 30_000;
/** If the task does not say: 5 s, 10 s, 20 s, ... */
const usualInterval = { ms: 5_000, factor: 2 };
/** Intervals grow up to this, unless the task's own is longer. */
const longestBackOffMs = 300_000;

export function timeoutMs(planned: Times | undefined): number {
  return planned?.timeout ? durationMs(planned.timeout) : 0;
}

/** When the daemon gives up an attempt that begins, or is heard of again, now. */
export function deadlineMs(planned: Times | undefined, nowMs: number): number {
  return nowMs + timeoutMs(planned) + deadlineSlackMs;
}

/** Between a failed attempt and the next; `failures` from 1. */
export function backOffMs(planned: Times | undefined, failures: number): number {
  const grown = intervalMs(planned) * (planned?.backoff || usualInterval.factor) ** (failures - 1);
  return Math.min(grown, longestWaitMs(planned));
}

/** The longest that a step may have to wait for its next attempt. */
export function longestWaitMs(planned: Times | undefined): number {
  return Math.max(longestBackOffMs, intervalMs(planned));
}

function intervalMs(planned: Times | undefined): number {
  return planned?.interval ? durationMs(planned.interval) : usualInterval.ms;
}
