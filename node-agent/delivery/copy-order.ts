// The order in which content is moved about on a disk, so that nothing is written over before it was read. Pure.
//
// Moves go in batches: all of a batch is read before any of it is written. So a move may share its batch with those
// whose content it writes over, or come after them. Moves that wait for one another in a circle have to share one
// batch; where a circle is too large for that, single moves are given up until it is none.

export type Move = {
  from: number;
  to: number;
  sizeBytes: number;
  /** Its content is held elsewhere already: nobody has to spare it. */
  sourceHeld: boolean;
  /** It is not written to the disk with its batch: it harms nobody. */
  writtenLater: boolean;
};

export type Order = {
  /** Indexes of moves. */
  batches: number[][];
  /** Those that were given up. */
  dropped: number[];
};

/** `batchBytes`: how much of one batch can be held. */
export function orderMoves(moves: readonly Move[], batchBytes: number): Order {
  return new Ordering(moves, batchBytes).run();
}

class Ordering {
  readonly #moves: readonly Move[];
  readonly #batchBytes: number;
  /** By move: those that must be read before it is written. */
  readonly #readers: number[][];
  /** By move: those that may be written when it has been read. */
  readonly #writers: number[][];
  /** By move: how many of its readers are still to be read. */
  readonly #waiting: Int32Array;
  readonly #settled: Uint8Array;
  readonly #ready: number[] = [];
  readonly #order: Order = { batches: [], dropped: [] };
  #batch: number[] = [];
  #room: number;

  constructor(moves: readonly Move[], batchBytes: number) {
    this.#moves = moves;
    this.#batchBytes = batchBytes;
    this.#room = batchBytes;
    this.#readers = readersOf(moves);
    this.#writers = moves.map(() => []);
    for (const [writer, readers] of this.#readers.entries()) {
      for (const reader of readers) this.#writers[reader]?.push(writer);
    }
    this.#waiting = Int32Array.from(this.#readers, (readers) => readers.length);
    this.#settled = new Uint8Array(moves.length);
  }

  run(): Order {
    for (const [index, move] of this.#moves.entries()) {
      if (move.sizeBytes > this.#batchBytes) this.#drop(index);
      else if (this.#waiting[index] === 0) this.#ready.push(index);
    }
    let next = 0;
    while (next < this.#moves.length) {
      this.#takeReady();
      while (next < this.#moves.length && this.#settled[next]) next++;
      if (next < this.#moves.length) this.#breakCircle(next);
    }
    this.#flush();
    return this.#order;
  }

  #takeReady(): void {
    for (let at = 0; at < this.#ready.length; at++) {
      const index = this.#ready[at] as number;
      if (!this.#settled[index]) this.#takeTogether([index]);
    }
    this.#ready.length = 0;
  }

  /** Everything that waits is in a circle, or waits for one. */
  #breakCircle(start: number): void {
    const { members, fits } = this.#membersNeeded(start);
    if (fits) {
      this.#takeTogether(members);
      return;
    }
    // The one that holds up most others; of several the one that costs least to get in another way.
    const weight = (index: number) => this.#writers[index]?.filter((one) => !this.#settled[one]).length ?? 0;
    const size = (index: number) => this.#moves[index]?.sizeBytes ?? 0;
    const victim = members.reduce((best, one) => {
      const difference = weight(one) - weight(best);
      return difference > 0 || (difference === 0 && size(one) < size(best)) ? one : best;
    });
    this.#drop(victim);
  }

  /** All that must be read before this one is written; not all of them if they do not fit into a batch. */
  #membersNeeded(start: number): { members: number[]; fits: boolean } {
    const members = [start];
    const seen = new Set(members);
    let bytes = this.#moves[start]?.sizeBytes ?? 0;
    for (let at = 0; at < members.length; at++) {
      for (const reader of this.#readers[members[at] as number] ?? []) {
        if (this.#settled[reader] || seen.has(reader)) continue;
        seen.add(reader);
        members.push(reader);
        bytes += this.#moves[reader]?.sizeBytes ?? 0;
        if (bytes > this.#batchBytes) return { members, fits: false };
      }
    }
    return { members, fits: true };
  }

  #takeTogether(indexes: number[]): void {
    const bytes = indexes.reduce((sum, index) => sum + (this.#moves[index]?.sizeBytes ?? 0), 0);
    if (bytes > this.#room) this.#flush();
    this.#room -= bytes;
    this.#batch.push(...indexes);
    for (const index of indexes) this.#settled[index] = 1;
    for (const index of indexes) this.#wasRead(index);
  }

  #drop(index: number): void {
    this.#settled[index] = 1;
    this.#order.dropped.push(index);
    this.#wasRead(index);
  }

  #wasRead(index: number): void {
    for (const writer of this.#writers[index] ?? []) {
      const left = (this.#waiting[writer] ?? 0) - 1;
      this.#waiting[writer] = left;
      if (left === 0 && !this.#settled[writer]) this.#ready.push(writer);
    }
  }

  #flush(): void {
    if (this.#batch.length > 0) this.#order.batches.push(this.#batch);
    this.#batch = [];
    this.#room = this.#batchBytes;
  }
}

/** For every move those others whose source lies where it is written. */
function readersOf(moves: readonly Move[]): number[][] {
  const sources = [...moves.keys()].filter((index) => !moves[index]?.sourceHeld);
  const from = (index: number) => moves[index]?.from ?? 0;
  sources.sort((a, b) => from(a) - from(b));
  const largest = moves.reduce((most, { sizeBytes }) => Math.max(most, sizeBytes), 0);
  return moves.map(({ to, sizeBytes, writtenLater }, writer) => {
    const readers: number[] = [];
    if (writtenLater) return readers;
    for (let at = firstAtOrAfter(sources, from, to - largest); at < sources.length; at++) {
      const reader = sources[at] as number;
      if (from(reader) >= to + sizeBytes) break;
      const end = from(reader) + (moves[reader]?.sizeBytes ?? 0);
      if (end > to && reader !== writer) readers.push(reader);
    }
    return readers;
  });
}

function firstAtOrAfter(sorted: number[], key: (item: number) => number, wanted: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (key(sorted[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
