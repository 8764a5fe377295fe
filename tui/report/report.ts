// All that a report says, worked out once for text, pictures, pages and programs. Pure.
import type { Attempt, Deployment, Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { chainOf, type Link } from "./chain.ts";
import { type Bar, type Timeline, timelineOf } from "./timeline.ts";
import { type Failure, failures, slowest, type Total, totalsBy } from "./totals.ts";
import { type Wait, waitsOf } from "./waits.ts";

export type Report = {
  timeline: Timeline;
  waits: Wait[];
  chain: Link[];
  tasks: Total[];
  roles: Total[];
  slowest: Bar[];
  failures: Failure[];
  /** Steps that nothing was done for: how many by why. */
  leftOut: Map<string, number>;
};

const slowestCount = 10;

export function reportOf(
  deployment: Deployment,
  steps: readonly Step[],
  attempts: readonly Attempt[],
  now: number,
): Report {
  const timeline = timelineOf(deployment, steps, attempts, now);
  const waits = waitsOf(timeline);
  const idle = timeline.steps.filter(({ bars, done }) => bars.length === 0 && done !== undefined);
  const reasons = Map.groupBy(
    idle,
    ({ reason }) => reason || "its condition was false, or there was nothing to do",
  );
  return {
    timeline,
    waits,
    chain: chainOf(timeline),
    tasks: totalsBy(timeline, waits, "task").sort((a, b) => b.sum - a.sum),
    roles: totalsBy(timeline, waits, "role").sort((a, b) => b.sum - a.sum),
    slowest: slowest(timeline, slowestCount),
    failures: failures(timeline),
    leftOut: new Map([...reasons].map(([reason, members]) => [reason, members.length])),
  };
}
