// The table's type, and how a step of any kind is run from it. Apart from the table, so that tests bring theirs.
import type { ActionOf, Step, StepContext, StepDone, StepKind } from "../step.ts";
import { runTest } from "../task-test.ts";

/** Those are the daemon's own steps. */
export type AgentStepKind = Exclude<StepKind, "bootstrap" | "join">;
export type Catalogue = { [K in AgentStepKind]: Step<K> };

type KindedAction = { [K in StepKind]: { case: K; value: ActionOf<K> } }[StepKind];

/** They have no way to say what they would change: a check must never come to them. */
const unchecked: readonly StepKind[] = ["partition", "image", "seed", "bootloader", "reboot", "wipe"];

export async function perform(
  catalogue: Catalogue,
  action: KindedAction,
  context: StepContext,
): Promise<string | StepDone> {
  const { check, inputs } = context;
  if (action.case === "bootstrap" || action.case === "join") {
    throw new Error(
      `a ${action.case} step was assigned to the agent, but the daemon does it; update the daemon`,
    );
  }
  if (check && unchecked.includes(action.case)) {
    throw new Error(`a ${action.case} step cannot be checked without being done, and was not begun`);
  }
  if (inputs.testPre && !check) await runTest("test_pre", inputs.testPre, context);
  const done = await performKind(catalogue, action, context);
  if (inputs.testPost && !check) await runTest("test_post", inputs.testPost, context);
  return done;
}

function performKind<K extends AgentStepKind>(
  catalogue: Catalogue,
  action: { case: K; value: ActionOf<K> },
  context: StepContext,
): Promise<string | StepDone> {
  return catalogue[action.case](action.value, context);
}
