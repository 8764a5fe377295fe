// The steps of one deployment, found by name, by node and by state: a decision about one step must not have to
// read thousands.
import { type Plan, type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Requirements } from "./requirements.ts";

const { RUNNING, UNKNOWN, READY, SUCCEEDED, SKIPPED } = Step_State;

type NodeSteps = {
  steps: Map<string, Step>;
  live: Set<string>;
  /** How many have neither succeeded nor been skipped. */
  open: number;
};

export class StepBook {
  #steps = new Map<string, Step>();
  readonly #byNode = new Map<string, NodeSteps>();
  readonly #counts = new Map<Step_State, number>();
  /** Those that run, or could: what time and events act on. */
  readonly #live = new Set<string>();
  /** By task: whose turn it is, and who only waits for a turn, the longest first. */
  readonly #turns = new Map<string, Set<string>>();
  readonly #queues = new Map<string, Set<string>>();
  #requirements: Requirements | undefined;

  put(step: Step): void {
    const before = this.#steps.get(step.name);
    const node = this.#nodeSteps(step.node);
    if (before) this.#count(node, before, -1);
    this.#count(node, step, 1);
    this.#steps.set(step.name, step);
    node.steps.set(step.name, step);
    if (isLive(step) !== (before !== undefined && isLive(before))) {
      setIn(this.#live, step.name, isLive(step));
      setIn(node.live, step.name, isLive(step));
    }
    if (hasTurn(step) !== (before !== undefined && hasTurn(before)))
      setIn(setOf(this.#turns, step.task), step.name, hasTurn(step));
    // Whatever else has become of it, it waits for that first.
    if (step.state !== READY || step.reason !== before?.reason)
      this.#queues.get(step.task)?.delete(step.name);
    this.#requirements?.put(step);
  }

  delete(name: string): void {
    const step = this.#steps.get(name);
    if (!step) return;
    const node = this.#nodeSteps(step.node);
    this.#count(node, step, -1);
    this.#steps.delete(name);
    node.steps.delete(name);
    for (const names of [this.#live, node.live, this.#turns.get(step.task), this.#queues.get(step.task)])
      names?.delete(name);
    this.#requirements = undefined;
  }

  get(name: string): Step | undefined {
    return this.#steps.get(name);
  }

  all(): Step[] {
    return [...this.#steps.values()];
  }

  ofNode(node: string): Map<string, Step> {
    return this.#nodeSteps(node).steps;
  }

  /** Running, unknown and ready steps. */
  live(): Step[] {
    return this.#named(this.#live);
  }

  liveOf(node: string): Step[] {
    return this.#named(this.#nodeSteps(node).live);
  }

  /** How many of a node's steps have neither succeeded nor been skipped. */
  openOf(node: string): number {
    return this.#nodeSteps(node).open;
  }

  /** The steps of a task whose turn it is: they run, or are about to be tried again. */
  turnsOf(task: string): Step[] {
    return this.#named(setOf(this.#turns, task));
  }

  turnCount(task: string): number {
    return this.#turns.get(task)?.size ?? 0;
  }

  /** Nothing but the limit of its task keeps a step from starting, as it was looked at last. */
  queue({ task, name }: Step): void {
    setOf(this.#queues, task).add(name);
  }

  /** The first of those that were queued. */
  nextInQueue(task: string, count: number): Step[] {
    return this.#named((this.#queues.get(task) ?? new Set<string>()).values().take(Math.max(0, count)));
  }

  /** `plan`: that of the deployment. */
  requirements(plan: Plan): Requirements {
    if (!this.#requirements) {
      this.#requirements = new Requirements(plan, (node) => this.ofNode(node).values());
      for (const step of this.#steps.values()) this.#requirements.put(step);
    }
    return this.#requirements;
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
    for (const node of this.#byNode.values()) node.steps = new Map();
    for (const step of sorted) this.ofNode(step.node).set(step.name, step);
  }

  #nodeSteps(name: string): NodeSteps {
    const known = this.#byNode.get(name);
    if (known) return known;
    const node = { steps: new Map<string, Step>(), live: new Set<string>(), open: 0 };
    this.#byNode.set(name, node);
    return node;
  }

  #named(names: Iterable<string>): Step[] {
    const steps: Step[] = [];
    for (const name of names) {
      const step = this.#steps.get(name);
      if (step) steps.push(step);
    }
    return steps;
  }

  #count(node: NodeSteps, { state }: Step, change: 1 | -1): void {
    this.#counts.set(state, (this.#counts.get(state) ?? 0) + change);
    if (state !== SUCCEEDED && state !== SKIPPED) node.open += change;
  }
}

/** An attempt of it is, or may be, under way. */
export function isActive({ state }: Step): boolean {
  return state === RUNNING || state === UNKNOWN;
}

/** Of those of its task that a limit lets run at once, it is one: also between an attempt and the next. */
export function hasTurn(step: Step): boolean {
  return isActive(step) || (step.state === READY && step.nextAttemptTime !== undefined);
}

function isLive(step: Step): boolean {
  return isActive(step) || step.state === READY;
}

function setIn(names: Set<string>, name: string, isIn: boolean): void {
  if (isIn) names.add(name);
  else names.delete(name);
}

function setOf(sets: Map<string, Set<string>>, key: string): Set<string> {
  const known = sets.get(key);
  if (known) return known;
  const names = new Set<string>();
  sets.set(key, names);
  return names;
}
