// The steps as the daemon has published them, and what the plans say about their order.
import { planIndex } from "../../daemon/domain/plan-index.ts";
import {
  type Plan,
  type PlannedStep,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Resource } from "../../proto/gen/muster/v1/watch_pb.ts";

export class StepRecord {
  readonly #known: ReadonlyMap<string, Resource>;
  readonly #steps = new Map<string, Step>();
  readonly #byNode = new Map<string, Map<string, Step>>();
  readonly #byTask = new Map<string, Map<string, Step>>();
  readonly #requirements = new Map<string, PlannedStep[]>();

  /** `known`: all resources, for the plans. */
  constructor(known: ReadonlyMap<string, Resource>) {
    this.#known = known;
  }

  put(step: Step): void {
    this.#steps.set(step.name, step);
    for (const group of this.#groupsOf(step)) group.set(step.name, step);
  }

  delete(name: string): void {
    const step = this.#steps.get(name);
    if (step) for (const group of this.#groupsOf(step)) group.delete(name);
    this.#steps.delete(name);
  }

  clear(): void {
    this.#steps.clear();
    this.#byNode.clear();
    this.#byTask.clear();
    this.#requirements.clear();
  }

  get(name: string): Step | undefined {
    return this.#steps.get(name);
  }

  all(): Iterable<Step> {
    return this.#steps.values();
  }

  /** The steps of the same node in the same deployment. */
  ofNode({ deployment, node }: Pick<Step, "deployment" | "node">): Iterable<Step> {
    return groupOf(this.#byNode, `${deployment}/${node}`).values();
  }

  /** The steps of the same task in the same deployment. */
  ofTask({ deployment, task }: Step): Iterable<Step> {
    return groupOf(this.#byTask, `${deployment}/${task}`).values();
  }

  planOf({ deployment }: Pick<Step, "deployment">): Plan | undefined {
    const resource = this.#known.get(`deployment/${deployment}`)?.kind;
    return resource?.case === "deployment" ? resource.value.plan : undefined;
  }

  planned(step: Pick<Step, "deployment" | "node" | "task">): PlannedStep | undefined {
    return planIndex(this.planOf(step)).steps.get(`${step.node}/${step.task}`);
  }

  /** All that a step waits for, directly or further back; not what is only one of several. */
  requirements(step: string): PlannedStep[] {
    const known = this.#requirements.get(step);
    if (known) return known;
    const { deployment, node, task } = parts(`${step}/0`);
    const plan = this.planOf({ deployment });
    if (!plan) return [];
    const planned = planIndex(plan).steps;
    const found = new Map<string, PlannedStep>();
    const visit = (id: string) => {
      for (const required of planned.get(id)?.requires ?? []) {
        const other = planned.get(required);
        if (!other || found.has(required)) continue;
        found.set(required, other);
        if (other.action?.kind.case !== "join" || other.action.kind.value.need === 0) visit(required);
      }
    };
    visit(`${node}/${task}`);
    const requirements = [...found.values()];
    this.#requirements.set(step, requirements);
    return requirements;
  }

  #groupsOf({ deployment, node, task }: Step): Map<string, Step>[] {
    return [groupOf(this.#byNode, `${deployment}/${node}`), groupOf(this.#byTask, `${deployment}/${task}`)];
  }
}

function groupOf(groups: Map<string, Map<string, Step>>, key: string): Map<string, Step> {
  const group = groups.get(key) ?? new Map<string, Step>();
  groups.set(key, group);
  return group;
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
