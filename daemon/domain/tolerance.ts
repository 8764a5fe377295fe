// How many nodes of a role may fail before a deployment stops, and which ones a deployment does without.
import {
  type Deployment,
  Deployment_State,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Decision } from "./decision.ts";
import { put, type State } from "./state.ts";

/** So many nodes are named; of the others only their number. */
const namedNodes = 5;

/** Stops a deployment of which too many nodes have failed. Returns it as it is then. */
export function keepTolerances(decision: Decision, deployment: Deployment): Deployment {
  if (deployment.state !== Deployment_State.RUNNING) return deployment;
  const reason = excess(decision.state, deployment);
  if (!reason) return deployment;
  const stopping = { ...deployment, state: Deployment_State.STOPPING, reason };
  decision.change(put({ case: "deployment", value: stopping }));
  const message = `${reason}; no further step starts`;
  decision.event(Event_Severity.ERROR, `deployment/${deployment.name}`, "TOO_MANY_FAILED", message);
  return stopping;
}

/** Which role has lost more nodes than it may, for people; empty if none has. */
function excess(state: State, { name, plan }: Deployment): string {
  if (!plan?.tolerances.length) return "";
  const { failedNodes } = state.stepBook(name).requirements(plan);
  for (const { role, mayFail } of plan.tolerances) {
    const failed = failedNodes.get(role);
    if (!failed || failed.size <= mayFail) continue;
    const allowed = mayFail === 0 ? "none may" : `no more than ${mayFail} may`;
    return `${counted(failed.size)} of role ${role} failed (${named([...failed])}), and ${allowed}`;
  }
  return "";
}

/** What a deployment that has no step left to do has been done without, for people; empty if it is not to be excused. */
export function doneWithout(state: State, deployment: Deployment): string {
  const { name, plan } = deployment;
  if (!plan?.tolerances.length || excess(state, deployment)) return "";
  const { failedNodes } = state.stepBook(name).requirements(plan);
  const lost = [...failedNodes].filter(([, nodes]) => nodes.size);
  const isTolerated = (role: string) => plan.tolerances.some((tolerance) => tolerance.role === role);
  if (!lost.length || !lost.every(([role]) => isTolerated(role))) return "";
  const roles = lost.map(([role, nodes]) => {
    const causes = [...nodes].map((node) => `${node}: ${causeOf(state, deployment, node)}`);
    return `${counted(nodes.size)} of role ${role}, which may fail (${named(causes, "; ")})`;
  });
  return `without ${roles.join(", and without ")}`;
}

function causeOf(state: State, { name }: Deployment, node: string): string {
  const failed = (step: Step) => step.state === Step_State.FAILED || step.state === Step_State.CANCELLED;
  const step = state.stepBook(name).ofNode(node).values().find(failed);
  return `${step?.task}: ${step?.reason}`;
}

function counted(count: number): string {
  return count === 1 ? "1 node" : `${count} nodes`;
}

function named(words: string[], separator = ", "): string {
  const more = words.length > namedNodes ? [`and ${words.length - namedNodes} more`] : [];
  return [...words.slice(0, namedNodes), ...more].join(separator);
}
