// What a step still requires, for explanations: they may look at all of it, as one is asked for at a time.
import {
  type Deployment,
  type PlannedStep,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { planIndex } from "./plan-index.ts";
import type { State } from "./state.ts";
import { isProvisioning } from "./tasks.ts";

/** So many are named; of the others only their number. */
const namedLimit = 5;

/** Whether a step need not be done any more. */
export function isFinished(step: Step): boolean {
  return step.state === Step_State.SUCCEEDED || step.state === Step_State.SKIPPED;
}

export function isJoin(planned: PlannedStep | undefined): boolean {
  return planned?.action?.kind.case === "join";
}

/** The first requirement of this kind. Provisioning that has succeeded counts only while what it is built on does. */
export function firstRequired(
  state: State,
  deployment: Deployment | undefined,
  planned: PlannedStep | undefined,
  isWanted: (required: Step) => boolean,
): Step | undefined {
  if (!deployment?.plan || !planned) return undefined;
  const { name, plan } = deployment;
  const requirements = state.stepBook(name).requirements(plan);
  for (const id of planned.requires) {
    const required = state.step(`${name}/${id}`);
    if (!required || requirements.isForgiven(id, planned.id)) continue;
    if (isWanted(required)) return required;
    if (required.state !== Step_State.SUCCEEDED || !isProvisioning(required.task)) continue;
    const before = firstRequired(state, deployment, planIndex(plan).steps.get(id), isWanted);
    if (before) return before;
  }
  // Joins have gone on without its node.
  const behind = requirements.leftBehind(planned.id).map((id) => state.step(`${name}/${id}`));
  return behind.find((own) => own !== undefined && isWanted(own));
}

/** "2 of 300 steps (n1/join, n7/join)": what a join still lacks. */
export function missingOf(
  state: State,
  deployment: Deployment | undefined,
  planned: PlannedStep | undefined,
): string {
  if (!deployment?.plan || !planned) return "";
  const requirements = state.stepBook(deployment.name).requirements(deployment.plan);
  const missing = planned.requires.filter((id) => !requirements.isDone(id, planned.id));
  const need = planned.action?.kind.case === "join" ? planned.action.kind.value.need : 0;
  const some = need ? `${need} of ${planned.requires.length} steps, and lacks ` : "";
  return `${some}${missing.length} of ${planned.requires.length} steps (${named(missing)})`;
}

/** A node of which a step has failed for good, and which may fail. */
export function isGivenUp(state: State, { name, plan }: Deployment, { node }: Step): boolean {
  const role = plan?.nodes.find((planned) => planned.node === node)?.role;
  if (!plan?.tolerances.some((tolerance) => tolerance.role === role)) return false;
  return (
    state
      .stepBook(name)
      .requirements(plan)
      .failedNodes.get(role ?? "")
      ?.has(node) ?? false
  );
}

export function named(words: readonly string[]): string {
  const more = words.length > namedLimit ? `, and ${words.length - namedLimit} more` : "";
  return `${words.slice(0, namedLimit).join(", ")}${more}`;
}
