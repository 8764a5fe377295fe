// Runs a deployment through the operator API and tells its story as lines.
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Deployment,
  Deployment_State,
  type Plan,
  Purpose,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Operator } from "./operator.ts";
import type { Log } from "./rack.ts";
import { stepSeconds } from "./seconds.ts";

const pollMs = 1_000;
const progressEveryMs = 10_000;

export type FollowOptions = { log: Log; signal: AbortSignal; limitMs: number };
export type Ended = { deployment: Deployment; steps: Step[] };

export async function planCluster(
  operator: Operator,
  cluster: string,
  purpose: Purpose = Purpose.DEPLOY,
): Promise<Plan> {
  const { plan } = await operator.deployments.planCluster({ cluster, purpose });
  if (!plan) throw new Error(`the daemon has sent no plan for ${cluster}`);
  return plan;
}

/** Starts the plan that was shown, and no other. */
export async function startDeployment(operator: Operator, plan: Plan): Promise<string> {
  const { deployment } = await operator.deployments.startDeployment({
    cluster: plan.cluster,
    planHash: plan.hash,
    purpose: plan.purpose,
  });
  if (!deployment) throw new Error(`the daemon has sent no deployment for ${plan.cluster}`);
  return deployment.name;
}

/** Returns when the deployment has ended, however it did. */
export async function followDeployment(
  operator: Operator,
  name: string,
  { log, signal, limitMs }: FollowOptions,
): Promise<Ended> {
  const deadline = Date.now() + limitMs;
  const story = new Story(log);
  while (true) {
    const { deployment, steps } = await operator.deployments.getDeployment({ name });
    if (!deployment) throw new Error(`the daemon has sent no deployment ${name}`);
    story.tell(steps);
    const over: Deployment_State[] = [
      Deployment_State.SUCCEEDED,
      Deployment_State.FAILED,
      Deployment_State.STOPPED,
    ];
    if (over.includes(deployment.state)) return { deployment, steps };
    if (Date.now() > deadline) {
      const waits = steps.filter(({ state }) => state !== Step_State.SUCCEEDED).map(({ name: step }) => step);
      throw new Error(`${name} has not ended within ${limitMs / 60_000} minutes; open: ${waits.join(", ")}`);
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/** Ends with the reasons if the deployment did not succeed. */
export function assertSucceeded({ deployment, steps }: Ended): void {
  if (deployment.state === Deployment_State.SUCCEEDED) return;
  const failed = steps.filter(({ state }) => state === Step_State.FAILED);
  const reasons = failed.map(({ name, reason }) => `\n  ${name}: ${reason}`).join("");
  throw new Error(`deployment ${deployment.name} did not succeed: ${deployment.reason}${reasons}`);
}

/** What the (only) step of this task says it has done. */
export function resultOf({ steps }: Ended, task: string): string {
  return steps.find((step) => step.task === task)?.result ?? "";
}

class Story {
  readonly #log: Log;
  readonly #told = new Map<string, string>();
  #progressTold = Date.now();

  constructor(log: Log) {
    this.#log = log;
  }

  tell(steps: Step[]): void {
    const now = Date.now();
    const progressIsDue = now - this.#progressTold >= progressEveryMs;
    if (progressIsDue) this.#progressTold = now;
    for (const step of steps) {
      const words = this.#words(step);
      if (this.#told.get(step.name) !== words) {
        this.#told.set(step.name, words);
        if (step.state !== Step_State.PENDING) this.#log(`  ${step.node} ${step.task}: ${words}`);
      } else if (progressIsDue && step.state === Step_State.RUNNING && step.progress?.totalBytes) {
        this.#log(`  ${step.node} ${step.task}: ${progressWords(step)}`);
      }
    }
  }

  #words(step: Step): string {
    const again = step.attempt > 1 ? ` (attempt ${step.attempt})` : "";
    switch (step.state) {
      case Step_State.RUNNING:
        return `runs${again}`;
      case Step_State.SUCCEEDED:
        return `done in ${stepSeconds(step)?.toFixed(1)} s${again}${step.result ? `: ${step.result}` : ""}`;
      case Step_State.FAILED:
        return `failed${again}: ${step.reason}`;
      case Step_State.CANCELLED:
        return `cancelled${again}`;
      case Step_State.UNKNOWN:
        return `unknown${again}: ${step.reason}`;
      default:
        return "waits";
    }
  }
}

function progressWords({ progress }: Step): string {
  const mib = (bytes: bigint | undefined) => `${Number((bytes ?? 0n) >> 20n)} MiB`;
  const percent = progress?.totalBytes ? (100n * progress.currentBytes) / progress.totalBytes : 0n;
  const rate = `${mib(progress?.bytesPerSecond)}/s`;
  return `${mib(progress?.currentBytes)} of ${mib(progress?.totalBytes)} (${percent} %), ${rate}`;
}
