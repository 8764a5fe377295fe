// What a plan says about when its steps may begin, worked out anew from all of them: the daemon counts along.
import { planIndex } from "../../daemon/domain/plan-index.ts";
import { hasTurn } from "../../daemon/domain/step-book.ts";
import { isProvisioning } from "../../daemon/domain/tasks.ts";
import {
  type Plan,
  type PlannedStep,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import type { StepRecord } from "./step-record.ts";

const { SUCCEEDED, FAILED, CANCELLED, SKIPPED, BLOCKED } = Step_State;
const isOne = (state: Step_State | undefined, ...states: Step_State[]) => states.some((one) => one === state);

/** What is wrong with a step that begins now. */
export function* wrongBeginning(steps: StepRecord, step: Step): Generator<string> {
  const plan = steps.planOf(step);
  const planned = steps.planned(step);
  if (!plan || !planned) return;
  yield* wrongOrder(steps, step);
  const before = [...steps.ofTask(step)].filter((other) => other.name !== step.name && hasTurn(other));
  if (planned.limit && before.length >= planned.limit)
    yield `${step.name} starts, but it is the turn of ${before.map(({ node }) => node)}`;
  for (const { role, mayFail } of plan.tolerances) {
    const lost = nodesOf(plan, role).filter((node) => hasFailed(steps, step, node));
    if (lost.length > mayFail) yield `${step.name} starts, but of ${role} ${lost} have failed`;
  }
  const { refreshOn } = planned;
  if (refreshOn.length && !refreshOn.some((id) => hasChanged(steps, step, id)))
    yield `${step.name} starts, but nothing has changed in ${refreshOn}`;
}

/** What is wrong with a step that is done now, though nothing was begun. */
export function* wrongSkip(steps: StepRecord, step: Step): Generator<string> {
  yield* wrongOrder(steps, step);
  const { condition = "", refreshOn = [], action } = steps.planned(step) ?? {};
  if (action?.kind.case === "join") return;
  if (!condition && !refreshOn.length) yield `${step.name} is skipped for no reason`;
  if (!condition && refreshOn.some((id) => hasChanged(steps, step, id)))
    yield `${step.name} is skipped, but something has changed in ${refreshOn}`;
}

/** Enough of what it requires has succeeded, or cannot any more and is no matter. */
function* wrongOrder(steps: StepRecord, step: Step): Generator<string> {
  const plan = steps.planOf(step);
  const planned = steps.planned(step);
  if (!plan || !planned) return;
  const standings = planned.requires.map((id) => standingOf(steps, plan, step, id));
  const done = standings.filter((standing) => standing === "done").length;
  const left = planned.requires.length - standings.filter((standing) => standing === "given up").length;
  const need = planned.action?.kind.case === "join" ? planned.action.kind.value.need : 0;
  const isEnough = done >= (need ? Math.min(need, left) : left);
  const behind = [...ownBehind(plan, planned)].find((id) => standingOf(steps, plan, step, id) !== "done");
  if (isEnough && behind) yield `${step.name} starts before its own ${behind} has succeeded`;
  if (isEnough) return;
  const missing = planned.requires.find(
    (_, index) => standings[index] === "open" || standings[index] === "lost",
  );
  yield `${step.name} starts before ${missing} has succeeded`;
}

/** A join may go on without a node, but the node itself must not. */
function* ownBehind(
  plan: Plan,
  { node, requires }: Pick<PlannedStep, "node" | "requires">,
): Generator<string> {
  for (const id of requires) {
    const join = planIndex(plan).steps.get(id);
    if (join?.action?.kind.case !== "join" || join.action.kind.value.need) continue;
    yield* join.requires.filter((own) => own.startsWith(`${node}/`));
    yield* ownBehind(plan, { node, requires: join.requires });
  }
}

type Standing = "done" | "open" | "lost" | "given up";

function standingOf(steps: StepRecord, plan: Plan, dependent: Step, id: string): Standing {
  const required = steps.get(`${dependent.deployment}/${id}`);
  const standing = required ? alone(steps, plan, required) : "open";
  if (standing !== "lost" || !required || required.node === dependent.node) return standing;
  const isTolerated = plan.tolerances.some(({ role }) => nodesOf(plan, role).includes(required.node));
  return isTolerated && hasFailed(steps, dependent, required.node) ? "given up" : "lost";
}

/** A provisioning step that has succeeded counts only while what it is built on does. */
function alone(steps: StepRecord, plan: Plan, step: Step): Standing {
  if (step.state === SKIPPED) return "done";
  if (isOne(step.state, FAILED, CANCELLED, BLOCKED)) return "lost";
  if (step.state !== SUCCEEDED) return "open";
  if (!isProvisioning(step.task)) return "done";
  const built = requiresOf(plan, step).map((id) => standingOf(steps, plan, step, id));
  return built.find((standing) => standing !== "done") ?? "done";
}

function requiresOf(plan: Plan, { node, task }: Step): readonly string[] {
  const planned: PlannedStep | undefined = planIndex(plan).steps.get(`${node}/${task}`);
  return planned?.requires ?? [];
}

function nodesOf(plan: Plan, role: string): string[] {
  return plan.nodes.filter((node) => node.role === role).map(({ node }) => node);
}

function hasFailed(steps: StepRecord, { deployment }: Step, node: string): boolean {
  return [...steps.ofNode({ deployment, node })].some(({ state }) => isOne(state, FAILED, CANCELLED));
}

function hasChanged(steps: StepRecord, { deployment }: Step, id: string): boolean {
  return steps.get(`${deployment}/${id}`)?.outcome === TaskOutcome.CHANGED;
}
