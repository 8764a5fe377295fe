// When a deployment has ended, how, and what that means for the nodes that it leaves half-way.
import {
  type Deployment,
  Deployment_State,
  Purpose,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Decision } from "./decision.ts";
import { isBusy } from "./node.ts";
import { put, type State } from "./state.ts";
import { doneWithout } from "./tolerance.ts";

const { PENDING, READY, RUNNING, SUCCEEDED, FAILED, UNKNOWN, CANCELLED, SKIPPED } = Step_State;

export function endIfDone(decision: Decision, { name }: Deployment): void {
  const deployment = decision.state.deployments.get(name);
  const book = decision.state.stepBook(name);
  const stopping = deployment?.state === Deployment_State.STOPPING;
  if (!deployment || (!stopping && deployment.state !== Deployment_State.RUNNING)) return;
  if (book.count(RUNNING, UNKNOWN) > 0) return;
  if (book.count(SUCCEEDED, SKIPPED) === book.size) {
    end(decision, deployment, Deployment_State.SUCCEEDED, "");
  } else if (stopping && deployment.reason) {
    // It was not the operator who stopped it.
    end(decision, deployment, Deployment_State.FAILED, deployment.reason);
  } else if (stopping) {
    end(decision, deployment, Deployment_State.STOPPED, "stopped by the operator");
  } else if (book.count(PENDING, READY) === 0) {
    const without = doneWithout(decision.state, deployment);
    if (without) end(decision, deployment, Deployment_State.SUCCEEDED, without);
    else end(decision, deployment, Deployment_State.FAILED, firstFault(book.all()));
  }
}

function firstFault(steps: Step[]): string {
  const faulty = steps.filter(({ state }) => state === FAILED || state === CANCELLED);
  const [first] = faulty;
  const more = faulty.length > 1 ? ` (and ${faulty.length - 1} more)` : "";
  return `${first?.node} ${first?.task}: ${first?.reason}${more}`;
}

function end(decision: Decision, deployment: Deployment, state: Deployment_State, reason: string): void {
  const ended = { ...deployment, state, reason, endTime: decision.now };
  decision.change(put({ case: "deployment", value: ended }));
  // What could have started does not wait for anything any more.
  for (const step of decision.state.stepBook(deployment.name).live()) {
    decision.step(step, { state: PENDING, reason: "", waitTime: undefined, nextAttemptTime: undefined });
  }
  if (deployment.plan?.purpose === Purpose.CHECK) forgetCheck(decision, deployment);
  else leaveNodes(decision, ended);
  const good = state === Deployment_State.SUCCEEDED;
  const name = good
    ? "DEPLOYMENT_SUCCEEDED"
    : state === Deployment_State.FAILED
      ? "DEPLOYMENT_FAILED"
      : "DEPLOYMENT_STOPPED";
  const severity = !good ? Event_Severity.ERROR : reason ? Event_Severity.WARNING : Event_Severity.INFO;
  decision.event(severity, `deployment/${deployment.name}`, name, reason || "all steps succeeded");
  decision.ended.push(deployment.name);
}

/** A check counts for nothing afterwards: its cluster is where the deployment before it has left it. */
function forgetCheck(decision: Decision, { name, cluster: clusterName }: Deployment): void {
  const { state } = decision;
  const cluster = state.clusters.get(clusterName);
  if (cluster?.deployment !== name) return;
  const deployment = newestThatCounts(state, clusterName);
  decision.change(put({ case: "cluster", value: { ...cluster, deployment } }));
}

function newestThatCounts(state: State, cluster: string): string {
  const number = (name: string) => Number(name.slice(name.lastIndexOf("-") + 1));
  const names = [...state.deployments.values()]
    .filter((other) => other.cluster === cluster && other.plan?.purpose !== Purpose.CHECK)
    .map(({ name }) => name);
  return names.sort((a, b) => number(b) - number(a))[0] ?? "";
}

/** No node stays in the middle of a deployment that has ended. */
function leaveNodes(decision: Decision, { name, plan, state, reason }: Deployment): void {
  const ends: Partial<Record<Deployment_State, string>> = {
    [Deployment_State.STOPPED]: "was stopped",
    [Deployment_State.SUCCEEDED]: `has ended ${reason}`,
  };
  const how = ends[state] ?? `has failed (${reason})`;
  for (const { node: nodeName } of plan?.nodes ?? []) {
    const node = decision.state.nodes.get(nodeName);
    if (!node || !isBusy(node.state)) continue;
    const steps = decision.state.stepBook(name).ofNode(nodeName).values();
    if (steps.every(({ attempt }) => attempt === 0)) {
      decision.node(node, { reason: "" }, node.installed ? "unchanged" : "untouched");
    } else {
      decision.node(node, { reason: `not finished: ${name} ${how}` }, "stopped");
    }
  }
}
