// The steps of one deployment, found by name, by node and by state: a decision about one step must not have to
// read thousands.
import { type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";

const { RUNNING, UNKNOWN, READY } = Step_State;

export class StepBook {
  #steps = new Map<string, Step>();
  readonly #byNode = new Map<string, Map<string, Step>>();
  readonly #counts = new Map<Step_State, number>();
  /** Those that run, or could: what time and events act on. */
  readonly #live = new Set<string>();

  put(step: Step): void {
    const before = this.#steps.get(step.name);
    if (before) this.#count(before.state, -1);
    this.#count(step.state, 1);
    this.#steps.set(step.name, step);
    this.ofNode(step.node).set(step.name, step);
    if (isLive(step)) this.#live.add(step.name);
    else this.#live.delete(step.name);
  }

  delete(name: string): void {
    const step = this.#steps.get(name);
    if (!step) return;
    this.#count(step.state, -1);
    this.#steps.delete(name);
    this.ofNode(step.node).delete(name);
    this.#live.delete(name);
  }

  get(name: string): Step | undefined {
    return this.#steps.get(name);
  }

  all(): Step[] {
    return [...this.#steps.values()];
  }

  ofNode(node: string): Map<string, Step> {
    const steps = this.#byNode.get(node) ?? new Map<string, Step>();
    this.#byNode.set(node, steps);
    return steps;
  }

  /** Running, unknown and ready steps. */
  live(): Step[] {
    return [...this.#live].flatMap((name) => this.#steps.get(name) ?? []);
  }

  count(...states: Step_State[]): number {
    return states.reduce<number>((sum, state) => sum + (this.#counts.get(state) ?? 0), 0);
  }

  get size(): number {
    return this.#steps.size;
  }

  /** Records are read in order of their names: puts the steps back into the order of the plan. */
  order(place: ReadonlyMap<string, number>): void {
    const sorted = this.all().sort((a, b) => (place.get(a.name) ?? 0) - (place.get(b.name) ?? 0));
    this.#steps = new Map(sorted.map((step): [string, Step] => [step.name, step]));
    this.#byNode.clear();
    for (const step of sorted) this.ofNode(step.node).set(step.name, step);
  }

  #count(state: Step_State, change: number): void {
    this.#counts.set(state, (this.#counts.get(state) ?? 0) + change);
  }
}

/** An attempt of it is, or may be, under way. */
export function isActive({ state }: Step): boolean {
  return state === RUNNING || state === UNKNOWN;
}

function isLive(step: Step): boolean {
  return isActive(step) || step.state === READY;
}
