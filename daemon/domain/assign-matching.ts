// Gives nodes to roles, so that every role has as many as it lacks whenever that is possible at all: first each takes
// what suits it best, and who comes short then has others give way (augmenting paths of bipartite matching).

/** A role that lacks nodes. */
export type Want = {
  role: string;
  lacks: number;
  /** Names of nodes that would do, the most suitable first. */
  candidates: readonly string[];
  /** How many nodes it has already in each place. */
  places: ReadonlyMap<string, number>;
};

export type Choice = {
  role: string;
  /** It was exchanged so that another role could have its nodes. */
  exchanged: boolean;
  /** How many nodes of the role were in its place before it. */
  beside: number;
};

/** Choices by node, and how many nodes each role that came short still lacks. */
export type Matching = { choices: Map<string, Choice>; short: Map<string, number> };

/** `placeOf`: of a node for a role, among whose places its nodes are spread evenly. */
export function match(wants: readonly Want[], placeOf: (role: string, node: string) => string): Matching {
  const choices = new Map<string, Choice>();
  const takers = wants.map((want) => new Taker(want, choices, placeOf));
  // Those with the least choice come first; the order of the manifest decides between equals.
  const order = takers.toSorted((a, b) => a.want.candidates.length - b.want.candidates.length);
  const short = new Map<string, number>();
  for (const taker of order) {
    let { lacks } = taker.want;
    while (lacks > 0 && (taker.take() || exchange(taker, takers, choices))) lacks--;
    if (lacks > 0) short.set(taker.want.role, lacks);
  }
  return { choices, short };
}

/** Takes for one role: of the emptiest place the most suitable node that nobody has. */
class Taker {
  readonly want: Want;
  readonly candidates: ReadonlySet<string>;
  readonly #choices: Map<string, Choice>;
  readonly #placeOf: (node: string) => string;
  readonly #counts: Map<string, number>;
  /** Of each place its candidates in order, with where each has in the order of all. */
  readonly #queues = new Map<string, { node: string; rank: number }[]>();

  constructor(want: Want, choices: Map<string, Choice>, placeOf: (role: string, node: string) => string) {
    this.want = want;
    this.candidates = new Set(want.candidates);
    this.#choices = choices;
    this.#placeOf = (node) => placeOf(want.role, node);
    this.#counts = new Map(want.places);
    want.candidates.forEach((node, rank) => {
      const place = this.#placeOf(node);
      const queue = this.#queues.get(place) ?? [];
      this.#queues.set(place, queue);
      queue.push({ node, rank });
    });
    // So that the next one is at the end.
    for (const queue of this.#queues.values()) queue.reverse();
  }

  /** False if there is none. */
  take(exchanged = false): boolean {
    let best: { node: string; rank: number; count: number } | undefined;
    for (const [place, queue] of this.#queues) {
      while (queue.length && this.#choices.has(queue.at(-1)?.node ?? "")) queue.pop();
      const head = queue.at(-1);
      const count = this.#counts.get(place) ?? 0;
      if (head && (!best || count < best.count || (count === best.count && head.rank < best.rank)))
        best = { ...head, count };
    }
    if (best) this.add(best.node, exchanged);
    return best !== undefined;
  }

  add(node: string, exchanged: boolean): void {
    const place = this.#placeOf(node);
    const beside = this.#counts.get(place) ?? 0;
    this.#counts.set(place, beside + 1);
    this.#choices.set(node, { role: this.want.role, exchanged, beside });
  }

  giveUp(node: string): void {
    const place = this.#placeOf(node);
    this.#counts.set(place, (this.#counts.get(place) ?? 1) - 1);
  }
}

/**
 * One more node for `first`, which has no free one: another role gives it one of its nodes and takes a free one, or
 * one of a third, and so on. Nodes are never set free by it, so that what a queue has passed by stays taken.
 */
function exchange(first: Taker, takers: readonly Taker[], choices: Map<string, Choice>): boolean {
  /** By role: which node it would give, and to whom. */
  const gives = new Map<Taker, { node: string; to: Taker }>();
  const reached: Taker[] = [first];
  for (const taker of reached) {
    if (taker !== first && taker.take(true)) {
      for (let giver = taker; giver !== first; ) {
        const given = gives.get(giver);
        if (!given) break;
        giver.giveUp(given.node);
        given.to.add(given.node, true);
        giver = given.to;
      }
      return true;
    }
    for (const owner of takers) {
      if (owner === first || gives.has(owner)) continue;
      const node = taker.want.candidates.find((name) => choices.get(name)?.role === owner.want.role);
      if (node === undefined) continue;
      gives.set(owner, { node, to: taker });
      reached.push(owner);
    }
  }
  return false;
}
