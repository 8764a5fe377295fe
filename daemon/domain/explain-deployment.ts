// Why a deployment is where it is, and what would move it: how far it is, and the step to look at.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Deployment,
  Deployment_State as S,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { isFinished } from "./explain-requirements.ts";
import { again, explainStep, idOf, newestAfter } from "./explain-step.ts";
import { oneLine, type Reason, reason, span, wordOf } from "./explain-text.ts";
import type { State } from "./state.ts";
import { isActive } from "./step-book.ts";

const looked = 100;

type Place = { state: State; deployment: Deployment; steps: Step[]; nowMs: number };

const table: Record<S, (place: Place) => Reason> = {
  [S.UNSPECIFIED]: ({ deployment }) =>
    reason(
      "its record has no state: a newer daemon wrote it, or it is damaged",
      `muster deploy ${deployment.cluster}`,
    ),
  [S.RUNNING]: running,
  [S.SUCCEEDED]: done,
  [S.STOPPING]: stopping,
  [S.STOPPED]: ({ state, deployment, steps }) =>
    superseded(state, deployment, `${deployment.reason || "stopped"}; ${counts(steps)}`) ??
    reason(
      `${deployment.reason || "stopped"}; ${counts(steps)}${took(deployment)}`,
      steps.some(({ state: at }) => at === Step_State.FAILED)
        ? `muster resume ${deployment.name}, or with its failed steps: muster retry ${deployment.name}`
        : `muster resume ${deployment.name}`,
    ),
  [S.FAILED]: failed,
};

export function explainDeployment(state: State, deployment: Deployment, nowMs: number): Reason {
  const steps = state.steps(deployment.name);
  const explained = (table[deployment.state] ?? table[S.UNSPECIFIED])({ state, deployment, steps, nowMs });
  return { ...explained, why: oneLine(explained.why), remedy: oneLine(explained.remedy) };
}

function done({ deployment, steps }: Place): Reason {
  const told = `${counts(steps)}${took(deployment)}`;
  if (!deployment.reason) return reason(`all is done: ${told}`);
  return reason(`done ${deployment.reason}: ${told}`, `mend them, then: muster retry ${deployment.name}`);
}

function running({ state, deployment, steps, nowMs }: Place): Reason {
  const [first, ...rest] = inNeed(steps);
  if (!first) {
    return reason(
      counts(steps),
      `it ends with the daemon's next decision; if it does not, see the daemon's log`,
    );
  }
  const cause = explainStep(state, first, nowMs);
  // One that runs as it should may hide another that needs somebody.
  const remedy = cause.remedy || firstRemedy(state, rest, nowMs);
  const why = `${counts(steps)}; ${idOf(first)} is ${wordOf(Step_State, first.state)}: ${cause.why}`;
  return reason(`${why}${deployment.reason ? ` (${deployment.reason})` : ""}`, remedy, [
    `step/${first.name}`,
    ...cause.waitsFor,
  ]);
}

/** Looks at some only: a deployment may have tens of thousands of steps. */
function firstRemedy(state: State, steps: Step[], nowMs: number): string {
  for (const step of steps.slice(0, looked)) {
    const { remedy, waitsFor } = explainStep(state, step, nowMs);
    // What waits for another step is moved by that one.
    if (remedy && !waitsFor[0]?.startsWith("step/")) return remedy;
  }
  return "";
}

function stopping({ deployment, steps, state, nowMs }: Place): Reason {
  const active = inNeed(steps).filter(isActive);
  const names = active.map(idOf).join(", ");
  const [first] = active;
  const waitsFor = active.map(({ name }) => `step/${name}`);
  if (!first)
    return reason(
      `${deployment.reason || "stop was asked for"}, and nothing runs any more`,
      "it ends with the next decision",
      waitsFor,
    );
  const cause = explainStep(state, first, nowMs);
  if (deployment.forced) {
    const why = `a forced stop is cancelling ${names}; it ends when their agents have answered`;
    return reason(why, cause.remedy || `it goes on by itself; see muster explain ${first.name}`, waitsFor);
  }
  const why = `${deployment.reason || "stop was asked for"}; it ends when ${names} ${active.length === 1 ? "has" : "have"} ended`;
  const force = `muster stop ${deployment.name} --force cancels what runs, muster resume ${deployment.name} goes on`;
  return reason(why, cause.remedy ? `${cause.remedy}; ${force}` : force, waitsFor);
}

function failed({ state, deployment, steps, nowMs }: Place): Reason {
  const first = steps.find(({ state: at }) => at === Step_State.FAILED);
  const told = `${counts(steps)}; ${deployment.reason || "a step failed"}`;
  if (!first) return reason(told, `muster retry ${deployment.name}`);
  const why = `${counts(steps)}; ${idOf(first)}: ${explainStep(state, first, nowMs).why}`;
  const remedy = `${again({ state, deployment, step: first })}; its log: muster logs ${first.name}`;
  return superseded(state, deployment, why) ?? reason(why, remedy, [`step/${first.name}`]);
}

/** Only the newest deployment of a cluster can go on. */
function superseded(state: State, deployment: Deployment, why: string): Reason | undefined {
  const newest = newestAfter(state, deployment);
  if (!newest) return undefined;
  return reason(`${why}; ${newest} has come after it`, `nothing here; see muster explain ${newest}`, [
    `deployment/${newest}`,
  ]);
}

/** What is under way, the oldest first; what could be; the first of what waits; and what went wrong. */
function inNeed(steps: Step[]): Step[] {
  const begun = (step: Step) => (step.startTime ? timestampMs(step.startTime) : Number.POSITIVE_INFINITY);
  const left = steps.filter((step) => !isFinished(step));
  const active = left.filter(isActive).sort((a, b) => begun(a) - begun(b));
  const ready = left.filter(({ state }) => state === Step_State.READY);
  const pending = left.filter(({ state }) => state === Step_State.PENDING);
  const failed = left.filter(({ state }) => state === Step_State.FAILED || state === Step_State.CANCELLED);
  return [...active, ...ready, ...pending.slice(0, 1), ...failed];
}

/** "6 of 21 steps done, 2 running, 1 held". */
function counts(steps: Step[]): string {
  const parts = [`${steps.filter(isFinished).length} of ${steps.length} steps done`];
  for (const state of [
    Step_State.RUNNING,
    Step_State.UNKNOWN,
    Step_State.READY,
    Step_State.FAILED,
    Step_State.CANCELLED,
    Step_State.BLOCKED,
  ]) {
    const count = steps.filter((step) => step.state === state).length;
    if (count) parts.push(`${count} ${wordOf(Step_State, state)}`);
  }
  return parts.join(", ");
}

function took({ startTime, endTime }: Deployment): string {
  return startTime && endTime ? `, took ${span(timestampMs(endTime) - timestampMs(startTime))}` : "";
}
