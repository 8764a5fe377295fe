// Who may send next when less may be sent than is asked for: limits per node, per rack and in total, in bytes per
// second. Pure: the caller brings the time.
//
// A limit is a bucket that fills at its rate. Whoever finds something in every bucket it draws from may send a
// whole chunk, whatever it takes: what is missing is waited for by those that come after.
//
// Nodes that are nearly done go first, so that they are done and of use, rather than all at the same late time;
// nodes that need about as much as each other (within a factor of two) take turns. Nobody starves: a node that
// could have been chosen and was not, several times for each node that waits, goes before all others.
import type { RateLimits } from "./options.ts";

export type Wish = {
  node: string;
  rack: string;
  bytes: number;
  /** What its node still needs in all, in stored bytes. */
  remaining: number;
};

/** What may be sent at once after a pause, in seconds at the rate. */
const burstSeconds = 0.1;
const patience = 4;

export class RateSchedule<W extends Wish> {
  readonly #limits: RateLimits;
  // Of tickets' nodes and racks, so there are not more of them than nodes in the cluster.
  readonly #buckets = new Map<string, Bucket>();
  readonly #waiting = new Map<string, Waiting<W>>();

  constructor(limits: RateLimits) {
    this.#limits = limits;
  }

  add(wish: W): void {
    const known = this.#waiting.get(wish.node);
    if (known) known.wishes.push(wish);
    else this.#waiting.set(wish.node, { wishes: [wish], passed: 0 });
  }

  /** For one that has gone. */
  remove(wish: W): void {
    const known = this.#waiting.get(wish.node);
    if (!known) return;
    known.wishes = known.wishes.filter((other) => other !== wish);
    if (!known.wishes.length) this.#waiting.delete(wish.node);
  }

  /** The wishes that may go now, in this order. They wait no longer. */
  grant(nowMs: number): W[] {
    const granted: W[] = [];
    for (let next = this.#choose(nowMs); next; next = this.#choose(nowMs)) {
      for (const bucket of this.#bucketsOf(next, nowMs)) bucket.level -= next.bytes;
      this.remove(next);
      granted.push(next);
    }
    return granted;
  }

  /** How long until grant() has something to give; undefined if nobody waits. */
  waitMs(nowMs: number): number | undefined {
    let least: number | undefined;
    for (const { wishes } of this.#waiting.values()) {
      const [wish] = wishes;
      if (!wish) continue;
      const wait = Math.max(0, ...this.#bucketsOf(wish, nowMs).map(emptyMs));
      if (least === undefined || wait < least) least = wait;
    }
    return least;
  }

  #choose(nowMs: number): W | undefined {
    const able = [...this.#waiting.values()].filter(
      ({ wishes: [wish] }) => wish && this.#bucketsOf(wish, nowMs).every((bucket) => bucket.level > 0),
    );
    const [first] = able;
    if (!first) return undefined;
    const limit = patience * this.#waiting.size;
    const chosen = able.reduce((best, other) => (goesBefore(other, best, limit) ? other : best), first);
    for (const other of able) other.passed++;
    chosen.passed = 0;
    return chosen.wishes[0];
  }

  #bucketsOf({ node, rack }: Wish, nowMs: number): Bucket[] {
    const { total, rack: perRack, node: perNode } = this.#limits;
    return [
      this.#bucket("total", total, nowMs),
      // Nodes without the label are not in a rack together.
      rack ? this.#bucket(`rack ${rack}`, perRack, nowMs) : undefined,
      this.#bucket(`node ${node}`, perNode, nowMs),
    ].filter((bucket) => bucket !== undefined);
  }

  #bucket(name: string, rate: number | undefined, nowMs: number): Bucket | undefined {
    if (rate === undefined) return undefined;
    const full = rate * burstSeconds;
    const bucket = this.#buckets.get(name) ?? { rate, level: full, atMs: nowMs };
    this.#buckets.set(name, bucket);
    bucket.level = Math.min(full, bucket.level + (rate * (nowMs - bucket.atMs)) / 1000);
    bucket.atMs = nowMs;
    return bucket;
  }
}

type Bucket = { rate: number; level: number; atMs: number };

/** A node's wishes; `passed`: how often another was chosen though it could have been. */
type Waiting<W extends Wish> = { wishes: W[]; passed: number };

function goesBefore<W extends Wish>(a: Waiting<W>, b: Waiting<W>, limit: number): boolean {
  if (a.passed >= limit || b.passed >= limit) return a.passed > b.passed;
  const [needA, needB] = [needOf(a), needOf(b)];
  return needA === needB ? a.passed > b.passed : needA < needB;
}

/** The power of two that the node's need is about. Below a MiB it makes no difference. */
function needOf<W extends Wish>({ wishes }: Waiting<W>): number {
  const least = Math.min(...wishes.map(({ remaining }) => remaining));
  return Math.floor(Math.log2(Math.max(least, 1 << 20)));
}

/** Until there is something in it again. */
function emptyMs({ level, rate }: Bucket): number {
  return level > 0 ? 0 : Math.max(1, Math.ceil((1000 * -level) / rate));
}
