// Where Enter and l lead from what is chosen. Pure.
import type { ScreenName } from "./keymap.ts";
import { currentStep, stepsOfNode, type World } from "./model.ts";
import { subjectOf } from "./screens/events.ts";
import type { Target } from "./screens/lines.ts";
import type { View } from "./view.ts";

export type Destination = { screen: ScreenName; name: string } | { refusal: string };

/** What Enter shows. */
export function destination(target: Target | undefined, from: View, world: World): Destination {
  const subject = target?.kind === "event" ? subjectOf(target.name) : target;
  if (!subject || subject.kind === "event" || (subject.kind === from.screen && subject.name === from.name)) {
    return { refusal: "there is nothing more to show" };
  }
  if (subject.kind === "step") return { screen: "log", name: subject.name };
  if (subject.kind !== "cluster") return { screen: subject.kind, name: subject.name };
  const deployment = world.clusters.get(subject.name)?.deployment;
  return deployment
    ? { screen: "deployment", name: deployment }
    : { refusal: `${subject.name} was never deployed; D deploys it` };
}

/** Whose log l shows: the chosen step's, or that of what the chosen node is at. */
export function logOf(target: Target | undefined, world: World): string | undefined {
  if (target?.kind === "step") return target.name;
  const node = target && world.nodes.get(target.name);
  return node && (currentStep(world, node) ?? stepsOfNode(world, node).at(-1))?.name;
}
