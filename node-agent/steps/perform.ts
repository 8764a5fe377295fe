// The table's type, and how a step of any kind is run from it. Apart from the table, so that tests bring theirs.
import type { ActionOf, Step, StepContext, StepKind } from "../step.ts";

/** Bootstrap is the daemon's own step. */
export type AgentStepKind = Exclude<StepKind, "bootstrap">;
export type Catalogue = { [K in AgentStepKind]: Step<K> };

type KindedAction = { [K in StepKind]: { case: K; value: ActionOf<K> } }[StepKind];

export function perform(catalogue: Catalogue, action: KindedAction, context: StepContext): Promise<string> {
  if (action.case === "bootstrap") {
    throw new Error("a bootstrap step was assigned to the agent, but the daemon does it; update the daemon");
  }
  return performKind(catalogue, action, context);
}

function performKind<K extends AgentStepKind>(
  catalogue: Catalogue,
  action: { case: K; value: ActionOf<K> },
  context: StepContext,
): Promise<string> {
  return catalogue[action.case](action.value, context);
}
