// The steps of a deployment as a table. Pure.
import type { Deployment, Step } from "../proto/gen/muster/v1/deployment_pb.ts";
import { clean, elapsed, formatProgress } from "./format.ts";
import { itemNoun } from "./item-noun.ts";
import { table } from "./text-table.ts";
import { isHeld, isJoin, stepWord } from "./words.ts";

/** Barriers are on no node, and left out. */
export function stepTable(steps: readonly Step[], deployment: Deployment, now: number): string[] {
  const rows = steps
    .filter((step) => !isJoin(step))
    .map((step) => {
      const progress =
        step.progress && !step.endTime ? formatProgress(step.progress, itemNoun(deployment, step)) : "";
      const held = isHeld(step) ? `held; muster go ${deployment.name} ${step.node}/${step.task}` : "";
      return [
        step.node,
        step.task,
        stepWord(step, deployment).word,
        elapsed(step.startTime, step.endTime, now),
        step.attempt > 1 ? String(step.attempt) : "",
        held || clean(step.reason || step.result) || progress,
      ];
    });
  return table(["NODE", "TASK", "STATE", "TOOK", "ATTEMPT", "RESULT"], rows);
}
