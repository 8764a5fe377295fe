// What the steps of a deployment require, counted: whether a step may start must not depend on how many others it
// waits for. Follows from the states of the steps alone, and so is made anew when it is first asked for.
import { type Plan, type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type PlanIndex, planIndex } from "./plan-index.ts";
import { isProvisioning } from "./tasks.ts";

const { SUCCEEDED, FAILED, CANCELLED, SKIPPED, BLOCKED } = Step_State;

/** Whether all that a step requires has been done; hopeless: it cannot be any more, before a retry. */
export type Verdict = "met" | "open" | "hopeless";

/** What a step is to those that require it. */
const OPEN = 0;
const DONE = 1;
const DEAD = 2;

export class Requirements {
  readonly #index: PlanIndex;
  readonly #plan: Plan;
  readonly #ofNode: (node: string) => Iterable<Step>;
  /** By place in the plan, as all of these. */
  readonly #states: Uint8Array;
  readonly #standings: Uint8Array;
  /** How many of what it requires are done; are dead; are dead, and are no matter. */
  readonly #done: Uint32Array;
  readonly #dead: Uint32Array;
  readonly #forgiven: Uint32Array;
  /** What joins require, by join: made when it is asked for. */
  readonly #parts = new Map<string, { byNode: Map<string, string[]>; joins: string[] }>();
  readonly #roles: ReadonlyMap<string, string>;
  readonly #mayFail: ReadonlyMap<string, number>;
  /** How many steps have failed for good, by node: only nodes with any. */
  readonly #failures = new Map<string, number>();
  readonly #failedNodes = new Map<string, Set<string>>();

  constructor(plan: Plan, ofNode: (node: string) => Iterable<Step>) {
    this.#plan = plan;
    this.#index = planIndex(plan);
    this.#ofNode = ofNode;
    const { length } = plan.steps;
    this.#states = new Uint8Array(length);
    this.#standings = new Uint8Array(length);
    this.#done = new Uint32Array(length);
    this.#dead = new Uint32Array(length);
    this.#forgiven = new Uint32Array(length);
    this.#roles = new Map(plan.nodes.map(({ node, role }) => [node, role]));
    this.#mayFail = new Map(plan.tolerances.map(({ role, mayFail }) => [role, mayFail]));
  }

  put({ node, task, state }: Step): void {
    const place = this.#index.places.get(`${node}/${task}`);
    if (place === undefined) return;
    const before = this.#states[place] ?? 0;
    if (before === state) return;
    this.#states[place] = state;
    this.#settle(place);
    if (isFailure(before) !== isFailure(state)) this.#countFailure(node, isFailure(state) ? 1 : -1);
  }

  /** `id`: NODE/TASK. */
  verdict(id: string): Verdict {
    const place = this.#index.places.get(id) ?? -1;
    const { requires, action } = this.#plan.steps[place] ?? {};
    const count = requires?.length ?? 0;
    const left = count - (this.#forgiven[place] ?? 0);
    // One that needs only some does not take a failure for a success, as long as another may still succeed.
    const wanted = action?.kind.case === "join" ? action.kind.value.need : 0;
    const needed = wanted ? Math.min(wanted, left) : left;
    if ((this.#done[place] ?? 0) >= needed) return this.#ownVerdict(id);
    return left - (this.#dead[place] ?? 0) < needed ? "hopeless" : "open";
  }

  /** Whether a step counts as done for the other. */
  isDone(id: string, dependent: string): boolean {
    return this.#standing(id) === DONE || this.isForgiven(id, dependent);
  }

  isDead(id: string): boolean {
    return this.#standing(id) === DEAD;
  }

  /** It cannot succeed any more, which is no matter to the other: its node is one of those that may fail. */
  isForgiven(id: string, dependent: string): boolean {
    const node = nodeOf(id);
    return this.#standing(id) === DEAD && node !== nodeOf(dependent) && this.#isGivenUp(node);
  }

  /**
   * The steps of its own node that are not done, though the joins that it requires are: these went on without the
   * node, and it must not.
   */
  *leftBehind(id: string): Generator<string> {
    const step = this.#plan.steps[this.#index.places.get(id) ?? -1];
    if (!step || !this.#mayFail.has(this.#roles.get(step.node) ?? "")) return;
    for (const required of step.requires) yield* this.#behind(required, step.node);
  }

  *#behind(id: string, node: string): Generator<string> {
    const place = this.#index.places.get(id) ?? -1;
    const { action, requires = [] } = this.#plan.steps[place] ?? {};
    if (action?.kind.case !== "join" || action.kind.value.need) return;
    const parts = this.#partsOf(id, requires);
    for (const join of parts.joins) yield* this.#behind(join, node);
    if (this.#done[place] === requires.length) return;
    for (const own of parts.byNode.get(node) ?? []) if (this.#standing(own) !== DONE) yield own;
  }

  #partsOf(join: string, requires: readonly string[]) {
    const known = this.#parts.get(join);
    if (known) return known;
    const byNode = Map.groupBy(requires, nodeOf);
    const isJoin = (id: string) => this.#index.steps.get(id)?.action?.kind.case === "join";
    const parts = { byNode, joins: requires.filter(isJoin) };
    this.#parts.set(join, parts);
    return parts;
  }

  #ownVerdict(id: string): Verdict {
    const left = [...this.leftBehind(id)];
    if (left.some((own) => this.isDead(own))) return "hopeless";
    return left.length ? "open" : "met";
  }

  /** Nodes with a step that has failed for good, by role; the role of a node without one is empty. */
  get failedNodes(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#failedNodes;
  }

  #standing(id: string): number {
    return this.#standings[this.#index.places.get(id) ?? -1] ?? OPEN;
  }

  #settle(place: number): void {
    const before = this.#standings[place] ?? OPEN;
    const after = this.#standingOf(place);
    if (before === after) return;
    this.#standings[place] = after;
    const step = this.#plan.steps[place];
    for (const id of this.#index.dependents.get(step?.id ?? "") ?? []) {
      const dependent = this.#index.places.get(id) ?? -1;
      const isForgiven =
        this.#plan.steps[dependent]?.node !== step?.node && this.#isGivenUp(step?.node ?? "");
      this.#count(dependent, before, isForgiven, -1);
      this.#count(dependent, after, isForgiven, 1);
      this.#settle(dependent);
    }
  }

  #standingOf(place: number): number {
    const state = this.#states[place] ?? 0;
    if (state === SKIPPED) return DONE;
    if (isFailure(state) || state === BLOCKED) return DEAD;
    if (state !== SUCCEEDED) return OPEN;
    const { task = "", requires = [] } = this.#plan.steps[place] ?? {};
    // Provisioning that has succeeded counts only while what it is built on does.
    if (!isProvisioning(task)) return DONE;
    if (this.#dead[place]) return DEAD;
    return this.#done[place] === requires.length ? DONE : OPEN;
  }

  #count(dependent: number, standing: number, isForgiven: boolean, change: 1 | -1): void {
    if (standing === OPEN) return;
    const counts = standing === DONE ? this.#done : isForgiven ? this.#forgiven : this.#dead;
    counts[dependent] = (counts[dependent] ?? 0) + change;
  }

  #countFailure(node: string, change: 1 | -1): void {
    const count = (this.#failures.get(node) ?? 0) + change;
    const role = this.#roles.get(node) ?? "";
    const failed = this.#failedNodes.get(role) ?? new Set<string>();
    this.#failedNodes.set(role, failed);
    const isFirst = count === 1 && change === 1;
    if (isFirst || count === 0) this.#moveDead(node, -1);
    if (count) {
      this.#failures.set(node, count);
      failed.add(node);
    } else {
      this.#failures.delete(node);
      failed.delete(node);
    }
    if (isFirst || count === 0) this.#moveDead(node, 1);
  }

  /** What is dead on a node counts differently when the node is given up, and when it is not any more. */
  #moveDead(node: string, change: 1 | -1): void {
    if (!this.#mayFail.has(this.#roles.get(node) ?? "")) return;
    for (const { task } of this.#ofNode(node)) {
      const id = `${node}/${task}`;
      if (this.#standing(id) !== DEAD) continue;
      for (const dependent of this.#index.dependents.get(id) ?? []) {
        if (nodeOf(dependent) === node) continue;
        this.#count(this.#index.places.get(dependent) ?? -1, DEAD, this.#isGivenUp(node), change);
      }
    }
  }

  #isGivenUp(node: string): boolean {
    return this.#failures.has(node) && this.#mayFail.has(this.#roles.get(node) ?? "");
  }
}

function isFailure(state: number): boolean {
  return state === FAILED || state === CANCELLED;
}

function nodeOf(id: string): string {
  return id.slice(0, id.indexOf("/"));
}
