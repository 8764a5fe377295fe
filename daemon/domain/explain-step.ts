// Why a step is where it is, and what would move it. A step that waits is followed back to what it waits for in
// the end. The table has every state: a new one does not compile without its line here.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Deployment,
  Deployment_State,
  type PlannedStep,
  Purpose,
  Step_State as S,
  type Step,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, type Node, PowerState } from "../../proto/gen/muster/v1/node_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { firstRequired, isFinished, isGivenUp, isJoin, missingOf, named } from "./explain-requirements.ts";
import { oneLine, type Reason, reason, since, span, wordOf } from "./explain-text.ts";
import { planIndex } from "./plan-index.ts";
import type { State } from "./state.ts";
import { isActive } from "./step-book.ts";
import { environmentOf } from "./tasks.ts";

type Place = {
  state: State;
  step: Step;
  planned: PlannedStep | undefined;
  deployment: Deployment | undefined;
  node: Node | undefined;
  nowMs: number;
};

const dead: ReadonlySet<S> = new Set([S.FAILED, S.CANCELLED, S.BLOCKED]);

const table: Record<S, (place: Place) => Reason> = {
  [S.UNSPECIFIED]: ({ step }) =>
    reason(
      "its record has no state: a newer daemon wrote it, or it is damaged",
      `run muster doctor, then ${retry(step)}`,
    ),
  [S.PENDING]: pending,
  [S.READY]: ready,
  [S.RUNNING]: running,
  [S.UNKNOWN]: unknown,
  [S.SUCCEEDED]: succeeded,
  [S.FAILED]: failed,
  [S.BLOCKED]: blocked,
  [S.CANCELLED]: cancelled,
  [S.SKIPPED]: ({ planned }) =>
    reason(
      planned?.skippedBecause ||
        `the same has succeeded in ${planned?.unchangedSince || "an earlier deployment"} and has not changed since; \`muster deploy --all\` would do it anew`,
    ),
};

function succeeded({ step, planned }: Place): Reason {
  if (isJoin(planned)) return reason("what it waits for is done");
  if (step.outcome === TaskOutcome.SKIPPED) return reason(`not done${colon(step.result)}`);
  if (step.outcome === TaskOutcome.IGNORED) {
    return reason(
      `attempt ${step.attempt} failed${took(step)}${colon(step.reason)}; its task says that this is no matter`,
      `the next deployment tries it again; its log: muster logs ${step.name}`,
    );
  }
  return reason(`attempt ${step.attempt} succeeded${took(step)}${colon(step.result)}`);
}

export function explainStep(state: State, step: Step, nowMs: number): Reason {
  const deployment = state.deployments.get(step.deployment);
  const planned = planIndex(deployment?.plan).steps.get(idOf(step));
  const node = state.nodes.get(step.node);
  const explained = (table[step.state] ?? table[S.UNSPECIFIED])({
    state,
    step,
    planned,
    deployment,
    node,
    nowMs,
  });
  return { ...explained, why: oneLine(explained.why), remedy: oneLine(explained.remedy) };
}

/** `muster retry`, or why that is not the way any more. */
export function again({ state, deployment, step }: Pick<Place, "state" | "deployment" | "step">): string {
  if (deployment?.plan?.purpose === Purpose.CHECK)
    return `mend it, then check again: muster deploy ${deployment.cluster} --noop`;
  const newest = deployment && newestAfter(state, deployment);
  if (newest) return `nothing here: ${newest} has come after it; see muster explain ${newest}`;
  if (deployment?.state === Deployment_State.RUNNING || deployment?.state === Deployment_State.STOPPING) {
    return `mend it, and when ${step.deployment} has ended: muster retry ${step.deployment}`;
  }
  return `mend it, then: ${retry(step)}`;
}

/** The deployment that is the cluster's newest, if this one is not. A check never is, when it has ended. */
export function newestAfter(state: State, { name, cluster, plan }: Deployment): string | undefined {
  if (plan?.purpose === Purpose.CHECK) return undefined;
  const newest = state.clusters.get(cluster)?.deployment;
  return newest && newest !== name ? newest : undefined;
}

function pending(place: Place): Reason {
  const { state, step, planned, deployment, nowMs } = place;
  const halted = haltedDeployment(place);
  if (halted) return halted;
  const required = firstMissing(place, planned);
  const hold = step.hold ? ", and then for a go" : "";
  if (!required) {
    return reason(
      `nothing that it requires is left${hold}`,
      "it becomes ready with the daemon's next decision",
    );
  }
  // A plan has an order, so this ends.
  const cause = explainStep(state, required, nowMs);
  const waitsFor = [`step/${required.name}`, ...cause.waitsFor];
  const root = rootOf(state, waitsFor, required);
  const through = root === required ? "" : `, in the end for ${idOf(root)}`;
  const what = root === required ? cause : explainStep(state, root, nowMs);
  const all = isJoin(planned) ? missingOf(state, deployment, planned) : idOf(required);
  const why = `waits for ${all}${through}${hold}: ${stateOf(root)}, ${what.why}`;
  const remedy = what.remedy || `${idOf(step)} comes by itself when ${idOf(root)} has succeeded`;
  return reason(why, remedy, waitsFor);
}

/** The first requirement that keeps it waiting. */
function firstMissing({ state, deployment }: Place, planned: PlannedStep | undefined): Step | undefined {
  return firstRequired(state, deployment, planned, (other) => !isFinished(other));
}

/** The last step on the way back. */
function rootOf(state: State, waitsFor: string[], fallback: Step): Step {
  const names = waitsFor.filter((name) => name.startsWith("step/"));
  return state.step(names.at(-1)?.slice("step/".length) ?? "") ?? fallback;
}

function ready(place: Place): Reason {
  return (
    haltedDeployment(place) ??
    held(place) ??
    backingOff(place) ??
    inMaintenance(place) ??
    nodeBusy(place) ??
    nodeAbsent(place) ??
    turn(place) ??
    reason(
      `could start now${colon(place.step.reason)}`,
      "it starts with the daemon's next decision, within seconds; if it does not, see the daemon's log",
    )
  );
}

/** Nothing starts in a deployment that does not run. */
function haltedDeployment({ deployment, step, state }: Place): Reason | undefined {
  if (!deployment || deployment.state === Deployment_State.RUNNING) return undefined;
  const { name } = deployment;
  const newest = newestAfter(state, deployment);
  if (newest)
    return reason(`${name} is over, and ${newest} has come after it`, `see muster explain ${newest}`);
  if (deployment.state === Deployment_State.STOPPING) {
    const remedy = deployment.forced ? `when it has stopped: muster retry ${name}` : `muster resume ${name}`;
    return reason(`${name} is stopping: no further step starts`, remedy, [`deployment/${name}`]);
  }
  if (deployment.state === Deployment_State.STOPPED) {
    return reason(`${name} was stopped before it began`, `muster resume ${name}`, [`deployment/${name}`]);
  }
  return reason(`${name} has ended without it`, retry(step), [`deployment/${name}`]);
}

function inMaintenance({ node }: Place): Reason | undefined {
  if (!node?.maintenance) return undefined;
  const because = node.maintenanceReason ? ` (${node.maintenanceReason})` : "";
  return reason(
    `${node.name} is in maintenance${because}: nothing is started on it`,
    `muster maintenance ${node.name} off`,
    [`node/${node.name}`],
  );
}

function backingOff({ step, nowMs }: Place): Reason | undefined {
  if (!step.nextAttemptTime || timestampMs(step.nextAttemptTime) <= nowMs) return undefined;
  const next = `attempt ${step.attempt + 1} follows in ${span(timestampMs(step.nextAttemptTime) - nowMs)}`;
  const left = step.retriesLeft
    ? `, ${step.retriesLeft} more would follow by themselves`
    : ", the last by itself";
  return reason(
    `attempt ${step.attempt} failed${colon(step.reason)}; ${next}${left}`,
    `${idOf(step)} goes on by itself; see why it failed: muster logs ${step.name}`,
  );
}

function held({ step }: Place): Reason | undefined {
  if (!step.hold) return undefined;
  return reason(
    "its turn has come, and it is held until somebody says go",
    `muster go ${step.deployment} ${idOf(step)}`,
  );
}

function nodeBusy({ state, step, nowMs }: Place): Reason | undefined {
  const own = state.stepBook(step.deployment).ofNode(step.node).values();
  const other = own.find((one) => one.name !== step.name && isActive(one));
  if (!other) return undefined;
  const cause = explainStep(state, other, nowMs);
  const why = `${step.node} is busy with ${other.task}, ${stateOf(other)} for ${since(other.startTime, nowMs)}`;
  return reason(why, cause.remedy || `${idOf(step)} starts when ${other.task} has ended`, [
    `step/${other.name}`,
    ...cause.waitsFor,
  ]);
}

/** Others of its task run, and no more may. */
function turn({ state, step, planned, nowMs }: Place): Reason | undefined {
  const limit = planned?.limit ?? 0;
  const running = limit ? state.stepBook(step.deployment).turnsOf(step.task) : [];
  const [first] = running;
  if (!first || running.length < limit || running.some(({ name }) => name === step.name)) return undefined;
  const cause = explainStep(state, first, nowMs);
  const who = named(running.map(({ node }) => node));
  const why = `waits for its turn: no more than ${limit} ${step.task} at once, and ${who} ${running.length === 1 ? "has it" : "have it"} now`;
  return reason(why, cause.remedy || `${idOf(step)} starts when one of them has ended`, [
    `step/${first.name}`,
    ...cause.waitsFor,
  ]);
}

function nodeAbsent({ node, step, nowMs }: Place): Reason | undefined {
  if (!node) return reason(`there is no node ${step.node} any more`, `muster stop ${step.deployment}`);
  if (step.task === "bootstrap") return undefined;
  const waitsFor = [`node/${node.name}`];
  if (!node.online) {
    const waiting = step.waitTime ? `, the step has waited for ${since(step.waitTime, nowMs)}` : "";
    const why = `${node.name}'s agent is not there, last seen ${lastSeen(node, nowMs)}${waiting}`;
    return reason(why, wake(node), waitsFor);
  }
  if (node.environment === environmentOf(step.task)) return undefined;
  const [is, needed] =
    node.environment === Environment.INSTALLED
      ? ["its installed system", "the ramdisk"]
      : ["the ramdisk", "its installed system"];
  const why = `${node.name} is in ${is}, and ${step.task} needs ${needed}`;
  return reason(why, `muster power cycle ${node.name}, and see its console`, waitsFor);
}

function running({ step, deployment, node, nowMs }: Place): Reason {
  const deadline = step.deadlineTime ? timestampMs(step.deadlineTime) - nowMs : undefined;
  const givenUp = deadline === undefined ? "" : `; given up in ${span(deadline)} unless it ends before`;
  const limit = node?.maintenance ? `; not given up while ${node.name} is in maintenance` : givenUp;
  const stopping =
    deployment?.state === Deployment_State.STOPPING
      ? deployment.forced
        ? "; a forced stop is cancelling it"
        : `; ${deployment.name} stops when it has ended`
      : "";
  const waits: Record<string, string> = {
    bootstrap: `, waiting for ${step.node} to come up in the ramdisk`,
    reboot: `, waiting for ${step.node} to come back from its disk`,
  };
  const why = `attempt ${step.attempt} has been running for ${since(step.startTime, nowMs)}${waits[step.task] ?? ""}`;
  const remedy =
    waits[step.task] && !node?.online ? `if it does not come: see the console of ${step.node}` : "";
  return reason(`${why}${limit}${stopping}`, remedy);
}

function unknown({ step, node, nowMs }: Place): Reason {
  const attempt = `attempt ${step.attempt} was running and may still be`;
  const seen = node ? `; last word from ${node.name} ${lastSeen(node, nowMs)}` : "";
  const remedy = node ? hear(node) : `muster stop ${step.deployment} --force`;
  return reason(`${attempt}${colon(step.reason)}${seen}`, remedy, [`node/${step.node}`]);
}

function failed(place: Place): Reason {
  const { step, state, deployment } = place;
  const exit = step.exitCode ? ` with exit code ${step.exitCode}` : "";
  const why = `attempt ${step.attempt} failed for good${exit}${took(step)}${colon(step.reason)}`;
  const without =
    deployment && isGivenUp(state, deployment, step)
      ? `; ${deployment.name} goes on without ${step.node}`
      : "";
  return reason(`${why}${without}`, `${again(place)}; its log: muster logs ${step.name}`);
}

function cancelled(place: Place): Reason {
  const { step, deployment, state } = place;
  const why = `a stop ended attempt ${step.attempt}${colon(step.reason)}`;
  const canResume = deployment?.state === Deployment_State.STOPPED && !newestAfter(state, deployment);
  return reason(why, canResume ? `muster resume ${step.deployment} begins it anew` : again(place));
}

function blocked(place: Place): Reason {
  const { state, step, planned, nowMs } = place;
  const cause = firstRequired(state, place.deployment, planned, (other) => dead.has(other.state));
  if (!cause) return reason(`something that it requires has failed${colon(step.reason)}`, again(place));
  const back = explainStep(state, cause, nowMs);
  const waitsFor = [`step/${cause.name}`, ...back.waitsFor];
  if (cause.state === S.BLOCKED) return reason(back.why, back.remedy, waitsFor);
  return reason(
    `it requires ${idOf(cause)}, which has ${stateOf(cause)}: ${back.why}`,
    back.remedy,
    waitsFor,
  );
}

/** What brings word of a step that may still be running: nothing here may cut it off. */
function hear(node: Node): string {
  if (node.maintenance) return `muster maintenance ${node.name} off, when it is up again`;
  if (node.power === PowerState.OFF && node.spec?.power) return wake(node);
  return `the next word of its agent decides; if none comes, see the console of ${node.name}`;
}

/** What brings a silent node back. */
export function wake(node: Node): string {
  const { name } = node;
  if (node.approvalCode)
    return `muster approve ${name} --code ${node.approvalCode}, if its console shows that code`;
  if (!node.spec?.power) return `see the console of ${name}, and switch it on by hand if it is off`;
  if (node.power === PowerState.OFF) return `it is switched off: muster power on ${name}`;
  return `see the console of ${name}; if it hangs, muster power cycle ${name} restarts it`;
}

export function lastSeen({ lastSeenTime }: Node, nowMs: number): string {
  return lastSeenTime ? `${since(lastSeenTime, nowMs)} ago` : "never";
}

export function idOf({ node, task }: Step): string {
  return `${node}/${task}`;
}

function retry({ deployment }: Step): string {
  return `muster retry ${deployment}`;
}

const stateWords: Partial<Record<S, string>> = { [S.CANCELLED]: "been cancelled" };

function stateOf({ state }: Step): string {
  return stateWords[state] ?? wordOf(S, state);
}

function took({ startTime, endTime }: Step): string {
  return startTime && endTime ? ` after ${span(timestampMs(endTime) - timestampMs(startTime))}` : "";
}

function colon(text: string): string {
  return text ? `: ${text}` : "";
}
