// Why a node is where it is, and what would move it: first its state, then what is wrong around it, then what the
// operator has set. The tables have every state and every kind of fault.
import type { Deployment, Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Fault_Kind, type Node, Node_State as S } from "../../proto/gen/muster/v1/node_pb.ts";
import { isFinished } from "./explain-requirements.ts";
import { explainStep, idOf, lastSeen, wake } from "./explain-step.ts";
import { oneLine, type Reason, reason, since, wordOf } from "./explain-text.ts";
import { isBusy } from "./node.ts";
import type { State } from "./state.ts";

type Place = { state: State; node: Node; nowMs: number };

const table: Record<S, (place: Place) => Reason> = {
  [S.UNSPECIFIED]: ({ node }) =>
    reason(
      "its record has no state: a newer daemon wrote it, or it is damaged",
      `muster delete node ${node.name}, then boot the machine from the network`,
    ),
  [S.DISCOVERED]: discovered,
  [S.AWAITING_APPROVAL]: ({ node }) =>
    reason(
      `its agent asks to join${node.approvalCode ? ` with code ${node.approvalCode}` : ""}`,
      `compare the code with the node's own console, then: muster approve ${node.name}${node.approvalCode ? ` --code ${node.approvalCode}` : ""}`,
    ),
  [S.AVAILABLE]: available,
  [S.RESERVED]: (place) => inDeployment(place, "has it reserved"),
  [S.PROVISIONING]: (place) => inDeployment(place, "is installing it"),
  [S.PROVISIONED]: (place) => inDeployment(place, "has installed it, and its config tasks come next"),
  [S.CONFIGURING]: (place) => inDeployment(place, "is configuring it"),
  [S.RELEASING]: (place) => inDeployment(place, "is taking it back into the ramdisk, to be wiped"),
  [S.CLEANING]: (place) => inDeployment(place, "is wiping its disks"),
  [S.READY]: ({ node, state }) =>
    reason(
      `${deploymentOf(state, node)?.name ?? "a deployment"} has made it what its role ${node.role} says`,
    ),
  [S.ERROR]: broken,
  [S.LOST]: lost,
};

const faultRemedies: Record<Fault_Kind, (node: Node) => string> = {
  [Fault_Kind.UNSPECIFIED]: ({ name }) => `see muster describe node ${name}`,
  [Fault_Kind.POWER]: ({ name }) =>
    `check the power driver that its manifest names, then: muster power status ${name}`,
  [Fault_Kind.LATE]: ({ name }) =>
    `see the load of ${name} and the network between; its next heartbeat clears this`,
  [Fault_Kind.CLOCK]: ({ name }) => `set the clock of ${name}, by NTP`,
  [Fault_Kind.STATE_ROLLED_BACK]: () =>
    "the daemon runs on an old copy of its state: stop it and restore the newest backup, with muster restore",
};

export function explainNode(state: State, node: Node, nowMs: number): Reason {
  const { why, remedy, waitsFor } = (table[node.state] ?? table[S.UNSPECIFIED])({ state, node, nowMs });
  const notes: { why: string; remedy: string }[] = [{ why, remedy }];
  for (const { kind, message, sinceTime } of node.faults) {
    const told = `fault for ${since(sinceTime, nowMs)}: ${message}`;
    notes.push({ why: told, remedy: (faultRemedies[kind] ?? faultRemedies[Fault_Kind.UNSPECIFIED])(node) });
  }
  if (!node.online && !isBusy(node.state) && saysNothing.every((other) => other !== node.state)) {
    notes.push({ why: `its agent is not there, last seen ${lastSeen(node, nowMs)}`, remedy: wake(node) });
  }
  notes.push(...flagNotes(node));
  return {
    why: oneLine(notes.map((note) => note.why).join("; ")),
    remedy: oneLine(notes.find((note) => note.remedy)?.remedy ?? ""),
    waitsFor,
  };
}

/** Where an agent need not be there, or its absence is said already; steps say it themselves. */
const saysNothing = [S.DISCOVERED, S.AWAITING_APPROVAL, S.LOST];

function flagNotes(node: Node): { why: string; remedy: string }[] {
  const notes: { why: string; remedy: string }[] = [];
  if (node.maintenance) {
    const because = node.maintenanceReason ? ` (${node.maintenanceReason})` : "";
    notes.push({
      why: `in maintenance${because}: no step is started on it`,
      remedy: `muster maintenance ${node.name} off`,
    });
  }
  if (node.protected)
    notes.push({ why: "protected: nothing that destroys data is planned for it", remedy: "" });
  if (node.retired) notes.push({ why: "retired: it may be released, but not provisioned again", remedy: "" });
  return notes;
}

function discovered({ node }: Place): Reason {
  const from = node.spec ? "a manifest declares it" : "it has asked the network what to boot";
  const remedy = node.spec?.power
    ? `muster power on ${node.name}, and see its console`
    : `switch ${node.name} on, have it boot from the network, and see its console`;
  return reason(`${from}, but its agent has not spoken yet`, remedy);
}

function available({ state, node }: Place): Reason {
  const cluster = [...state.clusters.values()].find(({ spec }) =>
    spec?.nodes.some((member) => member.node === node.name),
  );
  if (!cluster) return reason("its inventory is known, and no cluster names it");
  const why = `its inventory is known, and cluster ${cluster.name} names it but is not deployed on it`;
  return reason(
    why,
    node.retired ? `take it out of cluster ${cluster.name}: it is retired` : `muster deploy ${cluster.name}`,
  );
}

/** A deployment has it: what the first of its steps that is not done waits for. */
function inDeployment({ state, node, nowMs }: Place, what: string): Reason {
  const deployment = deploymentOf(state, node);
  const step = deployment && currentStep(stepsOf(state, deployment, node));
  if (!deployment || !step) {
    const named = deployment?.name ?? "a deployment that is no longer known";
    return reason(`${named} ${what}, and has no step left for it`, releaseOf(node));
  }
  const cause = explainStep(state, step, nowMs);
  return reason(
    `${deployment.name} ${what}: ${idOf(step)} is ${stepWord(step)}, ${cause.why}`,
    cause.remedy,
    [`step/${step.name}`, ...cause.waitsFor],
  );
}

function broken({ state, node, nowMs }: Place): Reason {
  const deployment = deploymentOf(state, node);
  const steps = deployment ? stepsOf(state, deployment, node) : [];
  const bad = steps.find(({ state: at }) => at === Step_State.FAILED || at === Step_State.CANCELLED);
  if (deployment && bad) {
    const cause = explainStep(state, bad, nowMs);
    return reason(`${bad.task} of ${deployment.name} did not succeed: ${cause.why}`, cause.remedy, [
      `step/${bad.name}`,
      ...cause.waitsFor,
    ]);
  }
  const why = node.reason || `${deployment?.name ?? "its deployment"} was stopped in the middle of it`;
  return reason(
    why,
    deployment ? `muster resume ${deployment.name}, or muster deploy ${node.cluster}` : releaseOf(node),
  );
}

function lost({ state, node, nowMs }: Place): Reason {
  const deployment = deploymentOf(state, node);
  const why = `silent in the middle of a step, last seen ${lastSeen(node, nowMs)}${node.reason ? `: ${node.reason}` : ""}`;
  const then = deployment ? `, then: muster retry ${deployment.name}` : "";
  return reason(why, node.online ? `it is back${then}` : `${wake(node)}${then}`);
}

function deploymentOf(state: State, node: Node): Deployment | undefined {
  return state.deployment(node.cluster);
}

function releaseOf(node: Node): string {
  return node.cluster
    ? `muster deploy ${node.cluster}, or muster release ${node.cluster} ${node.name}`
    : `muster delete node ${node.name}`;
}

function stepsOf(state: State, deployment: Deployment, node: Node): Step[] {
  return [...state.stepBook(deployment.name).ofNode(node.name).values()];
}

/** What it is at, else what comes next, else what went wrong. */
function currentStep(steps: Step[]): Step | undefined {
  const left = steps.filter((step) => !isFinished(step));
  const order = [Step_State.RUNNING, Step_State.UNKNOWN, Step_State.FAILED, Step_State.READY];
  for (const wanted of order) {
    const found = left.find(({ state }) => state === wanted);
    if (found) return found;
  }
  return left[0];
}

function stepWord({ state }: Step): string {
  return wordOf(Step_State, state);
}
