// What the steps of config tasks wait for: their own node's tasks, those of other nodes, the stage before, the
// batch before. Where many wait for many, they do so by a join, so that a big cluster has no more edges than steps.
import { create } from "@bufbuild/protobuf";
import { type JoinStep, JoinStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import type { CrossDependency } from "../../proto/gen/muster/v1/task_pb.ts";
import { ofRoles, type Place, type Spread } from "./task-spread.ts";
import { isPattern, type TaskWords } from "./task-words.ts";

/** The node of joins: no machine has such a name. */
export const joinNode = "_";
export const stages = ["pre_deployment", "deploy", "post_deployment"] as const;

export type Join = { name: string; requires: string[]; action: JoinStep };
export type TaskOrder = { requires: ReadonlyMap<string, readonly string[]>; joins: Join[] };

/** Ids that each step requires, beside its node's provisioning; and the joins that some of these are. */
export function orderTasks(
  spreads: readonly Spread[],
  words: TaskWords,
  places: readonly Place[],
): TaskOrder {
  return new Orderer(spreads, words, places).order();
}

/** Steps that others wait for, of which all or any must have succeeded. `key` is the same for the same steps. */
type Sources = { key: string; name: string; ids: readonly string[]; any: boolean };

class Orderer {
  readonly #spreads: readonly Spread[];
  readonly #words: TaskWords;
  readonly #places: readonly Place[];
  readonly #byName: ReadonlyMap<string, Spread>;
  /** An id may stand twice in a list until the end. */
  readonly #requires = new Map<string, string[]>();
  readonly #joins = new Map<string, Join>();
  /** By name. */
  readonly #named = new Map<string, Join>();
  readonly #sources = new Map<string, Sources>();

  constructor(spreads: readonly Spread[], words: TaskWords, places: readonly Place[]) {
    this.#spreads = spreads;
    this.#words = words;
    this.#places = places;
    this.#byName = new Map(spreads.map((spread) => [spread.task.name, spread]));
    for (const { ids } of spreads) for (const id of ids.values()) this.#requires.set(id, []);
  }

  order(): TaskOrder {
    for (const spread of this.#spreads) this.#orderNode(spread);
    for (const spread of this.#spreads) this.#orderAcross(spread);
    for (const spread of this.#spreads) this.#orderBatches(spread);
    this.#orderStages();
    for (const [id, requires] of this.#requires) {
      if (requires.length > 1) this.#requires.set(id, [...new Set(requires)]);
    }
    return { requires: this.#requires, joins: [...this.#joins.values()] };
  }

  /** The other tasks of the graph that a word names. A regular expression, or a group, may have the task itself. */
  #find(word: string, than: Spread): Spread[] {
    const found = this.#words.find(word).flatMap(({ name }) => this.#byName.get(name) ?? []);
    return word === than.task.name ? found : found.filter((other) => other !== than);
  }

  #orderNode(spread: Spread): void {
    const { requires, refreshOn, requiredFor, crossDepends, crossDependedBy } = spread.task;
    const ofSelf = (all: CrossDependency[]) =>
      all.filter(({ role }) => role === "self").map(({ task }) => task);
    for (const word of [...requires, ...refreshOn, ...ofSelf(crossDepends)])
      for (const before of this.#find(word, spread)) this.#waitOnNode(spread, before);
    for (const word of [...requiredFor, ...ofSelf(crossDependedBy)])
      for (const after of this.#find(word, spread)) this.#waitOnNode(after, spread);
  }

  #waitOnNode(after: Spread, before: Spread): void {
    const [fewer, more] = after.ids.size < before.ids.size ? [after, before] : [before, after];
    for (const node of fewer.ids.keys()) {
      if (!more.ids.has(node)) continue;
      this.#requires.get(after.ids.get(node) ?? "")?.push(before.ids.get(node) ?? "");
    }
  }

  #orderAcross(spread: Spread): void {
    const { name, crossDepends, crossDependedBy } = spread.task;
    for (const { task, role, policy } of crossDepends) {
      if (role === "self") continue;
      this.#wait([...spread.ids.values()], this.#sourcesOf(task, role, policy === "any", spread));
    }
    for (const { task, role, policy } of crossDependedBy) {
      if (role === "self") continue;
      const sources = this.#sourcesOf(name, "*", policy === "any");
      for (const after of this.#find(task, spread)) {
        const waiting = ofRoles(after.places, [role]).map(({ node }) => after.ids.get(node) ?? "");
        this.#wait(waiting, sources);
      }
    }
  }

  #sourcesOf(word: string, role: string, any: boolean, than?: Spread): Sources {
    // A regular expression that matches the task itself means the others.
    const without =
      than && word !== than.task.name && this.#words.find(word).includes(than.task) ? than : undefined;
    const key = JSON.stringify([word, role, any, without?.task.name]);
    const before = this.#sources.get(key);
    if (before) return before;
    const nodes = ofRoles(this.#places, [role]).map(({ node }) => node);
    const found = this.#words
      .find(word)
      .flatMap(({ name }) => this.#byName.get(name) ?? [])
      .filter((other) => other !== without);
    const ids = found.flatMap(({ ids }) => nodes.flatMap((node) => ids.get(node) ?? []));
    const sources = { key, name: `${plain(word)}-on-${any ? "any-of-" : ""}${plain(role)}`, ids, any };
    this.#sources.set(key, sources);
    return sources;
  }

  /** Has steps wait for others; nothing waits for itself. */
  #wait(waiting: readonly string[], sources: Sources): void {
    const { ids, any } = sources;
    if (ids.length === 0 || waiting.length === 0) return;
    const direct = ids.length === 1 || (waiting.length === 1 && !any);
    if (direct) {
      for (const id of waiting)
        for (const source of ids) if (source !== id) this.#requires.get(id)?.push(source);
      return;
    }
    const join = this.#joinOf(sources);
    for (const id of waiting) this.#requires.get(id)?.push(join);
  }

  #joinOf({ key, name: wanted, ids, any }: Sources): string {
    const before = this.#joins.get(key);
    if (before) return `${joinNode}/${before.name}`;
    let name = wanted;
    for (let number = 2; this.#named.has(name) || this.#byName.has(name); number++) {
      name = `${wanted}-${number}`;
    }
    const join = { name, requires: [...ids], action: create(JoinStepSchema, { need: any ? 1 : 0 }) };
    this.#joins.set(key, join);
    this.#named.set(name, join);
    return `${joinNode}/${name}`;
  }

  #orderBatches({ task, ids }: Spread): void {
    if (task.strategy?.type !== "batch") return;
    const size = atOnce(task.strategy, ids.size);
    const all = [...ids.values()];
    for (let start = size; start < all.length; start += size) {
      const number = start / size;
      const before = all.slice(start - size, start);
      const sources = {
        key: `batch ${task.name} ${number}`,
        name: `${task.name}-batch-${number}`,
        ids: before,
      };
      this.#wait(all.slice(start, start + size), { ...sources, any: false });
    }
  }

  /**
   * Every stage waits for the one before it that has steps. Steps that wait for one of their own stage need not wait
   * for the stage before, too, and a stage is done when that is done in it that nothing else in it waits for.
   */
  #orderStages(): void {
    let before: Sources | undefined;
    for (const stage of stages) {
      const own = this.#spreads.filter(({ task }) => (task.stage || "deploy") === stage);
      const inStage = this.#withJoins(own.flatMap(({ ids }) => [...ids.values()]));
      if (inStage.size === 0) continue;
      const last = new Set(inStage);
      const first: string[] = [];
      for (const id of inStage) {
        const within = [...this.#requiresOf(id)].filter((required) => inStage.has(required));
        for (const required of within) last.delete(required);
        if (within.length === 0) first.push(id);
      }
      if (before) this.#wait(first, before);
      // A cycle is said where the order is made.
      before = {
        key: `stage ${stage}`,
        name: `${stage}-done`,
        ids: last.size ? [...last] : [...inStage],
        any: false,
      };
    }
  }

  /** With the joins that wait for all of some of these steps, and for no others. */
  #withJoins(ids: readonly string[]): Set<string> {
    const all = new Set(ids);
    for (const { name, requires, action } of this.#joins.values()) {
      if (action.need === 0 && requires.every((id) => all.has(id))) all.add(`${joinNode}/${name}`);
    }
    return all;
  }

  #requiresOf(id: string): Iterable<string> {
    return this.#requires.get(id) ?? this.#named.get(id.slice(joinNode.length + 1))?.requires ?? [];
  }
}

/** How many nodes a strategy lets work at once; 0 is any number. */
export function atOnce(
  { type, amount, percent }: NonNullable<Spread["task"]["strategy"]>,
  of: number,
): number {
  if (type === "one_by_one") return 1;
  if (percent) return Math.max(1, Math.floor((of * percent) / 100));
  if (amount) return amount;
  return type === "batch" ? Math.max(1, of) : 0;
}

function plain(word: string): string {
  if (word === "*") return "all";
  if (!isPattern(word)) return word;
  const letters = word.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "");
  return letters.toLowerCase() || "matching";
}
