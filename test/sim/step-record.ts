// The steps as the daemon has published them, and what the plans say about their order.
import { planIndex } from "../../daemon/domain/plan-index.ts";
import { type PlannedStep, type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Resource } from "../../proto/gen/muster/v1/watch_pb.ts";

export class StepRecord {
  readonly #known: ReadonlyMap<string, Resource>;
  readonly #steps = new Map<string, Step>();
  readonly #byNode = new Map<string, Map<string, Step>>();
  readonly #requirements = new Map<string, PlannedStep[]>();

  /** `known`: all resources, for the plans. */
  constructor(known: ReadonlyMap<string, Resource>) {
    this.#known = known;
  }

  put(step: Step): void {
    this.#steps.set(step.name, step);
    this.#of(step).set(step.name, step);
  }

  delete(name: string): void {
    const step = this.#steps.get(name);
    if (step) this.#of(step).delete(name);
    this.#steps.delete(name);
  }

  clear(): void {
    this.#steps.clear();
    this.#byNode.clear();
    this.#requirements.clear();
  }

  get(name: string): Step | undefined {
    return this.#steps.get(name);
  }

  all(): Iterable<Step> {
    return this.#steps.values();
  }

  /** The steps of the same node in the same deployment. */
  ofNode(step: Step): Iterable<Step> {
    return this.#of(step).values();
  }

  /** All that a step waits for, directly or further back. */
  requirements(step: string): PlannedStep[] {
    const known = this.#requirements.get(step);
    if (known) return known;
    const { deployment, node, task } = parts(`${step}/0`);
    const resource = this.#known.get(`deployment/${deployment}`)?.kind;
    if (resource?.case !== "deployment") return [];
    const planned = planIndex(resource.value.plan).steps;
    const found = new Map<string, PlannedStep>();
    const visit = (id: string) => {
      for (const required of planned.get(id)?.requires ?? []) {
        const other = planned.get(required);
        if (!other || found.has(required)) continue;
        found.set(required, other);
        visit(required);
      }
    };
    visit(`${node}/${task}`);
    const requirements = [...found.values()];
    this.#requirements.set(step, requirements);
    return requirements;
  }

  #of({ deployment, node }: Step): Map<string, Step> {
    const key = `${deployment}/${node}`;
    const steps = this.#byNode.get(key) ?? new Map<string, Step>();
    this.#byNode.set(key, steps);
    return steps;
  }
}

export function isActive({ state }: Step): boolean {
  return state === Step_State.RUNNING || state === Step_State.UNKNOWN;
}

export function isDestructive(task: string): boolean {
  return ["partition", "image", "wipe"].includes(task);
}

/** Of a token, `DEPLOYMENT/NODE/TASK/NUMBER`. */
export function parts(token: string): { deployment: string; node: string; task: string; step: string } {
  const [deployment = "", node = "", task = ""] = token.split("/");
  return { deployment, node, task, step: `${deployment}/${node}/${task}` };
}
