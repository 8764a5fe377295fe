// A report for programs: times are milliseconds since the deployment began, lengths are milliseconds. Pure.
import { deploymentState, stepState, stepWord } from "../words.ts";
import type { Report } from "./report.ts";
import type { Bar } from "./timeline.ts";

export function reportJson({
  timeline,
  waits,
  chain,
  tasks,
  roles,
  slowest,
  failures,
  leftOut,
}: Report): object {
  const { deployment, start, end, steps } = timeline;
  const since = (time: number | undefined) => (time === undefined ? undefined : time - start);
  const bar = ({ number, state, outcome, reason, ...times }: Bar) => ({
    number,
    state: stepState(state).word,
    outcome: outcome ? stepWord({ state, outcome }).word : undefined,
    start: times.start - start,
    end: times.end - start,
    reason: reason || undefined,
  });
  const waitsOf = Map.groupBy(waits, ({ step }) => step);
  return {
    deployment: deployment.name,
    cluster: deployment.cluster,
    state: deploymentState(deployment.state).word,
    reason: deployment.reason || undefined,
    startTime: new Date(start).toISOString(),
    took: end - start,
    steps: steps.map((step) => ({
      step: step.id,
      role: step.role,
      state: stepState(step.state).word,
      reason: step.reason || undefined,
      ready: since(step.ready),
      readyAfter: step.readyAfter,
      attempts: step.bars.map(bar),
      waits: (waitsOf.get(step.id) ?? []).map(({ cause, from, to, words }) => ({
        cause,
        from: from - start,
        to: to - start,
        for: words.replace(/^for /, ""),
      })),
    })),
    criticalPath: chain.map((link) => ({ ...link, start: link.start - start, end: link.end - start })),
    tasks,
    roles,
    slowest: slowest.map((one) => ({ step: one.step, ...bar(one) })),
    failures: failures.map((one) => ({ ...one, state: stepState(one.state).word, end: one.end - start })),
    leftOut: Object.fromEntries(leftOut),
  };
}
