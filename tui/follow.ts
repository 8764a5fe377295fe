// Follows one deployment as lines: one per change of a step, node or the deployment itself, and where the
// running steps stand every few seconds. Pure: takes what the feed brings and says what to print.
import {
  type Deployment,
  Deployment_State,
  type Step,
  Step_State,
} from "../proto/gen/muster/v1/deployment_pb.ts";
import { type Node, Node_State } from "../proto/gen/muster/v1/node_pb.ts";
import type { WatchResponse } from "../proto/gen/muster/v1/watch_pb.ts";
import { clean, clock, elapsed, formatProgress } from "./format.ts";
import { itemNoun } from "./item-noun.ts";
import { applyResponse, emptyWorld, stepsOf, type World } from "./model.ts";
import { nodesText } from "./node-names.ts";
import { indent } from "./text-table.ts";
import type { FeedItem } from "./watch.ts";
import {
  countSteps,
  countText,
  deploymentState,
  hasEnded,
  isCheck,
  isHeld,
  isJoin,
  nodeState,
  stepWord,
} from "./words.ts";

const progressIntervalMs = 5000;

export class Follower {
  readonly #name: string;
  readonly #now: () => number;
  #world: World = emptyWorld();
  /** What was printed last of each thing, so that a repeated snapshot prints nothing twice. */
  readonly #printed = new Map<string, string>();
  readonly #progressAt = new Map<string, number>();

  constructor(deployment: string, now: () => number) {
    this.#name = deployment;
    this.#now = now;
  }

  /** The deployment as it ended; undefined while it has not, or is not yet known. */
  get ended(): Deployment | undefined {
    const deployment = this.#world.deployments.get(this.#name);
    return this.#world.complete && deployment && hasEnded(deployment.state) ? deployment : undefined;
  }

  get missing(): boolean {
    return this.#world.complete && !this.#world.deployments.has(this.#name);
  }

  /** The lines to print for one item of the feed. */
  take(item: FeedItem): string[] {
    if (item.kind === "broken") {
      return this.#once(
        "connection",
        `connection to the daemon lost, trying again: ${clean(item.error.message)}`,
      );
    }
    if (item.kind === "restart") {
      this.#world = emptyWorld();
      return [];
    }
    const back = this.#printed.delete("connection") ? [this.#line("connected again")] : [];
    return [...back, ...this.#message(item.response)];
  }

  #message(response: WatchResponse): string[] {
    const { change } = response;
    applyResponse(this.#world, response);
    if (!this.#world.complete) return [];
    if (change.case === "snapshotEnd") return this.#snapshotLines();
    if (change.case === "progress") return this.#progressLines(change.value.step);
    if (change.case !== "put") return [];
    const { kind } = change.value;
    if (kind.case === "step" && kind.value.deployment === this.#name) return this.#stepLines(kind.value);
    if (kind.case === "node") return this.#nodeLines(kind.value);
    if (kind.case === "deployment" && kind.value.name === this.#name) return this.#waitLines(kind.value);
    return [];
  }

  /** The steps that have failed. */
  failed(deployment: Deployment): Step[] {
    return stepsOf(this.#world, deployment).filter(({ state }) => state === Step_State.FAILED);
  }

  /** How it ended: one line, then for each step that failed why, with its `details`, and what can be done. */
  summary(deployment: Deployment, details?: ReadonlyMap<string, string[]>): string[] {
    const counts = countSteps(stepsOf(this.#world, deployment));
    const took = elapsed(deployment.startTime, deployment.endTime, this.#now());
    const reason = deployment.reason ? `: ${clean(deployment.reason)}` : "";
    const head = `${deployment.name} ${deploymentState(deployment.state).word} after ${took}`;
    const failed = this.failed(deployment);
    const lines = [`${head}, ${countText(counts, deployment)}${reason}`];
    const alike = Map.groupBy(failed, ({ task, reason }) => `${task}\n${reason}`);
    for (const group of alike.values()) {
      lines.push(`  ${failureText(group)}`);
      lines.push(
        ...indent(
          group.flatMap(({ name }) => details?.get(name) ?? []),
          "    ",
        ),
      );
    }
    const first = failed[0];
    if (first) lines.push(`see why: muster logs ${first.name}`);
    // A check that could not look at something is made again as a whole.
    if (counts.done < counts.total && !isCheck(deployment)) {
      const verb = deployment.state === Deployment_State.STOPPED && !first ? "resume" : "retry";
      lines.push(`continue it: muster ${verb} ${deployment.name}`);
    }
    return lines;
  }

  #snapshotLines(): string[] {
    const deployment = this.#world.deployments.get(this.#name);
    if (!deployment) return [];
    const steps = stepsOf(this.#world, deployment);
    return [...steps.flatMap((step) => this.#stepLines(step)), ...this.#waitLines(deployment)];
  }

  #stepLines(step: Step): string[] {
    if (isHeld(step) && step.state === Step_State.READY) {
      const go = `muster go ${this.#name} ${step.node}/${step.task}`;
      return this.#once(`step/${step.name}`, `${step.node} ${step.task} is held: ${go}`);
    }
    // What has not begun is told when it begins, unless there is a reason why it does not.
    if (isQuiet(step)) return [];
    const { word } = stepWord(step, this.#world.deployments.get(this.#name));
    const took = step.state === Step_State.RUNNING ? "" : elapsed(step.startTime, step.endTime, this.#now());
    const attempt = step.attempt > 1 ? `attempt ${step.attempt}` : "";
    const why = clean(step.reason || step.result);
    const text = [`${step.node} ${step.task} ${word}`, took, attempt].filter(Boolean).join(" ");
    return this.#once(`step/${step.name}`, why ? `${text}: ${why}` : text);
  }

  /** Only what explains why a deployment does not go on. */
  #nodeLines(node: Node): string[] {
    const members = this.#world.deployments.get(this.#name)?.plan?.nodes ?? [];
    if (!members.some((member) => member.node === node.name)) return [];
    const bad = node.state === Node_State.LOST || node.state === Node_State.ERROR;
    const key = `node/${node.name}`;
    if (!bad && !this.#printed.has(key)) return [];
    const reason = node.reason ? `: ${clean(node.reason)}` : "";
    return this.#once(key, `${node.name} is ${nodeState(node.state).word}${reason}`);
  }

  #waitLines(deployment: Deployment): string[] {
    if (hasEnded(deployment.state) || !deployment.reason) return [];
    return this.#once("deployment", `${deployment.name} ${clean(deployment.reason)}`);
  }

  #progressLines(name: string): string[] {
    const progress = this.#world.progress.get(name);
    const step = this.#world.steps.get(name);
    if (!progress || step?.deployment !== this.#name) return [];
    const now = this.#now();
    if (now - (this.#progressAt.get(name) ?? Number.NEGATIVE_INFINITY) < progressIntervalMs) return [];
    this.#progressAt.set(name, now);
    const noun = itemNoun(this.#world.deployments.get(this.#name), step);
    return [this.#line(`${step.node} ${step.task} ${formatProgress(progress, noun)}`)];
  }

  #once(key: string, text: string): string[] {
    if (this.#printed.get(key) === text) return [];
    this.#printed.set(key, text);
    return [this.#line(text)];
  }

  #line(text: string): string {
    return `${clock(this.#now())} ${text}`;
  }
}

/** Steps of one task that have failed for the same reason. */
function failureText(steps: Step[]): string {
  const [first] = steps;
  const nodes = nodesText(steps.map(({ node }) => node));
  const what = steps.length > 1 ? `${first?.task} on ${nodes}` : `${first?.node}/${first?.task}`;
  return `${what}: ${clean(first?.reason ?? "") || "failed"}`;
}

function isQuiet(step: Step): boolean {
  const { state, reason } = step;
  if (isJoin(step)) return true;
  if (state === Step_State.READY) return reason === "";
  return state === Step_State.PENDING || state === Step_State.SKIPPED || state === Step_State.BLOCKED;
}
