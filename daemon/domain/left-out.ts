// Steps that a plan leaves out count as done from its beginning. What waits for one of them waits for what that would
// have waited for, so that a step in between does not open the way too early.
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";

export function leaveOut(step: PlannedStep, because: string): void {
  step.skippedBecause = because;
  // Of a big cluster, the actions would be most of the plan.
  step.action = undefined;
  step.inputs = undefined;
}

const nothing: ReadonlySet<string> = new Set();

/**
 * Hands on what is waited for, and leaves out the joins that nobody needs: those that have nothing to wait for, and
 * those for which nobody waits. `order`: every step after those that it requires.
 */
export function bridgeLeftOut(order: readonly PlannedStep[]): void {
  const beyond = new Map<string, ReadonlySet<string>>();
  for (const step of order) {
    const need = needOf(step);
    if (need === 0) leaveOutIfDone(step, step.requires.length, ({ size }) => size === 0, beyond);
    // One that was done before is one.
    else if (need) leaveOutIfDone(step, need, () => true, beyond);
    if (isLeftOut(step)) beyond.set(step.id, need ? nothing : waitedFor(step, beyond));
    else if (!need) bridge(step, beyond);
  }
  const needed = new Set<string>();
  for (const step of [...order].reverse()) {
    if (needOf(step) !== undefined && !needed.has(step.id)) leaveOut(step, "nothing waits for it");
    if (!isLeftOut(step)) for (const id of step.requires) needed.add(id);
  }
}

/** How many a join needs, 0 for all; nothing for other steps. */
function needOf({ action }: PlannedStep): number | undefined {
  return action?.kind.case === "join" ? action.kind.value.need : undefined;
}

type Beyond = ReadonlyMap<string, ReadonlySet<string>>;

function leaveOutIfDone(
  join: PlannedStep,
  need: number,
  counts: (beyond: ReadonlySet<string>) => boolean,
  beyond: Beyond,
): void {
  const done = join.requires.filter((id) => {
    const rest = beyond.get(id);
    return rest !== undefined && counts(rest);
  });
  if (done.length >= need) leaveOut(join, "what it waits for is done");
}

function bridge(step: PlannedStep, beyond: Beyond): void {
  let all: Set<string> | undefined;
  for (const id of step.requires) {
    const further = beyond.get(id);
    if (!further?.size) continue;
    all ??= new Set(step.requires);
    for (const one of further) all.add(one);
  }
  if (all) step.requires = [...all];
}

/** What a step that is left out would have waited for and that is done in this plan. */
function waitedFor({ requires }: PlannedStep, beyond: Beyond): ReadonlySet<string> {
  let all: Set<string> | undefined;
  for (const id of requires) {
    const rest = beyond.get(id);
    if (rest?.size === 0) continue;
    all ??= new Set();
    for (const further of rest ?? [id]) all.add(further);
  }
  return all ?? nothing;
}
