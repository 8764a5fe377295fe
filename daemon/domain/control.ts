// What an operator can do with a deployment that has begun: retry, resume, stop, hold, go.
import {
  type Deployment,
  Deployment_State,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, type Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { awaitsBoot, cancelled, changesNodes, idOf } from "./attempt.ts";
import type { Decision } from "./decision.ts";
import { selectSteps } from "./deploy.ts";
import { planIndex } from "./plan-index.ts";
import { schedule } from "./schedule.ts";
import { put } from "./state.ts";
import { isActive } from "./step-book.ts";
import { isProvisioning } from "./tasks.ts";

const { PENDING, READY, SUCCEEDED, FAILED, CANCELLED, SKIPPED, BLOCKED } = Step_State;

/** What has not been done, and is not being done. */
const unbegun: readonly Step_State[] = [PENDING, READY, BLOCKED];

/** Tries failed and cancelled steps, and what they held up, again. Returns how many; 0 if there are none. */
export function retryDeployment(decision: Decision, deployment: Deployment): number {
  const again = goOn(decision, deployment, [FAILED, CANCELLED]);
  if (again) tell(decision, deployment, "DEPLOYMENT_RETRIED", `${again} steps will be tried again`);
  return again;
}

/** Takes a stop back, or goes on after it. Failed steps stay failed. */
export function resumeDeployment(decision: Decision, deployment: Deployment): void {
  goOn(decision, deployment, [CANCELLED]);
  tell(decision, deployment, "DEPLOYMENT_RESUMED", "what was left goes on");
}

function goOn(decision: Decision, deployment: Deployment, states: readonly Step_State[]): number {
  const { name } = deployment;
  const steps = decision.state.steps(name);
  if (!steps.some(({ state }) => state !== SUCCEEDED && state !== SKIPPED)) return 0;
  const again = steps.filter(({ state }) => states.includes(state));
  const { steps: planned } = planIndex(deployment.plan);
  for (const step of again) {
    const retriesLeft = planned.get(idOf(step))?.retries ?? 0;
    decision.step(step, {
      state: PENDING,
      reason: "",
      startTime: undefined,
      endTime: undefined,
      retriesLeft,
    });
  }
  // Whatever blocks them now may be another cause than before.
  for (const step of steps) if (step.state === BLOCKED) decision.step(step, { state: PENDING, reason: "" });
  let count = again.length;
  const left = decision.state.steps(name).filter(({ state }) => unbegun.includes(state));
  for (const nodeName of new Set(left.map(({ node }) => node))) {
    const node = decision.state.nodes.get(nodeName);
    if (node && changesNodes(deployment.plan)) count += takeBack(decision, name, node);
  }
  const running = {
    ...deployment,
    state: Deployment_State.RUNNING,
    reason: "",
    endTime: undefined,
    forced: false,
  };
  decision.change(put({ case: "deployment", value: running }));
  decision.stir(name, planned.keys());
  schedule(decision);
  return count;
}

/** A node that has something left to do is reserved again, and brought to where it can do it. */
function takeBack(decision: Decision, deployment: string, node: Node): number {
  const steps = [...decision.state.stepBook(deployment).ofNode(node.name).values()];
  if (steps.some(isActive)) return 0;
  decision.node(node, { reason: "" }, "reserved");
  const open = steps.filter(({ state }) => state !== SUCCEEDED && state !== SKIPPED);
  const inRamdisk = node.online && node.environment === Environment.BOOTSTRAP;
  if (inRamdisk || !open.some(({ task }) => isProvisioning(task))) {
    if (!node.online) decision.effect({ do: "powerOn", node: node.name });
    return 0;
  }
  // It has provisioning left to do, but has left the ramdisk.
  const bootstrap = steps.find(({ task }) => task === "bootstrap");
  if (bootstrap?.state !== SUCCEEDED) return 0;
  decision.step(bootstrap, { state: PENDING, reason: "", startTime: undefined, endTime: undefined });
  return 1;
}

/** No further step starts. Running steps finish; with `force` they are cancelled. */
export function stopDeployment(decision: Decision, deployment: Deployment, force = false): void {
  const { name, state, forced } = deployment;
  if (state !== Deployment_State.RUNNING && (forced || !force)) return;
  const value = { ...deployment, state: Deployment_State.STOPPING, forced: force };
  decision.change(put({ case: "deployment", value }));
  for (const step of decision.state.stepBook(name).live().filter(isActive)) stopStep(decision, step, force);
  tell(
    decision,
    deployment,
    "DEPLOYMENT_STOPPING",
    force ? "running steps are cancelled" : "no further step starts",
  );
  decision.stir(name, []);
  schedule(decision);
}

function stopStep(decision: Decision, step: Step, force: boolean): void {
  if (step.task === "bootstrap") {
    // A machine that is awaited in the ramdisk has nothing to finish.
    cancelled(decision, step, "stopped while its machine was awaited");
  } else if (force) {
    decision.effect({ do: "cancel", node: step.node, token: step.token });
    // A reboot that has begun cannot be taken back; there is nothing to wait for.
    if (awaitsBoot(decision, step))
      cancelled(decision, step, "stopped by force while its machine was awaited");
  }
}

type Chosen = { steps: string[] } | { unknown: string[] } | { begun: string[] };

/** Has steps wait for a go that have not begun. Returns the ids of those that did not hold before. */
export function holdSteps(decision: Decision, deployment: Deployment, words: readonly string[]): Chosen {
  const { ids, unknown } = selectSteps(deployment.plan, words);
  if (unknown.length) return { unknown };
  const steps = ids.flatMap((id) => decision.state.step(`${deployment.name}/${id}`) ?? []);
  const begun = steps.filter(({ state }) => ![...unbegun, FAILED, CANCELLED].includes(state));
  // `image` for every node means those that have not begun; a step by its own name must not have.
  const wrong = begun.filter((step) => words.includes(idOf(step)));
  if (wrong.length) return { begun: wrong.map(idOf) };
  return {
    steps: setHold(
      decision,
      deployment,
      steps.filter((step) => !begun.includes(step)),
      true,
    ),
  };
}

/** Says go: to these steps, or to all that hold and could start. Returns the ids of those that held. */
export function continueSteps(decision: Decision, deployment: Deployment, words: readonly string[]): Chosen {
  const { ids, unknown } = selectSteps(deployment.plan, words);
  if (unknown.length) return { unknown };
  const { state } = decision;
  const steps = words.length
    ? ids.flatMap((id) => state.step(`${deployment.name}/${id}`) ?? [])
    : state.steps(deployment.name).filter((step) => step.state === READY);
  return { steps: setHold(decision, deployment, steps, false) };
}

function setHold(decision: Decision, deployment: Deployment, steps: Step[], hold: boolean): string[] {
  const changed = steps.filter((step) => step.hold !== hold);
  for (const step of changed) decision.step(step, { hold });
  const ids = changed.map(idOf);
  if (ids.length) {
    const [first] = ids;
    const which = ids.length === 1 ? `${first}` : `${first} and ${ids.length - 1} more`;
    tell(decision, deployment, hold ? "STEPS_HELD" : "STEPS_CONTINUED", which);
  }
  decision.stir(deployment.name, ids);
  schedule(decision);
  return ids;
}

function tell(decision: Decision, { name }: Deployment, reason: string, message: string): void {
  const severity = reason === "DEPLOYMENT_STOPPING" ? Event_Severity.WARNING : Event_Severity.INFO;
  decision.event(severity, `deployment/${name}`, reason, message);
}
