// The last changes, for watchers that resume: bounded in number and in bytes, forgotten by whole revisions.
import type { WatchResponse } from "../../proto/gen/muster/v1/watch_pb.ts";
import { changeKey } from "./records.ts";

type LogLimits = { changes: number; bytes: number };
type Entry = { revision: bigint; size: number; read: () => WatchResponse };

export class ChangeLog {
  readonly #limits: LogLimits;
  #entries: Entry[] = [];
  #bytes = 0;
  /** What is before it is forgotten, and cut off now and then. */
  #first = 0;

  constructor(limits: LogLimits) {
    this.#limits = limits;
  }

  /** `read` makes the change from what is stored: at a start nobody has asked for it yet. */
  add(revision: bigint, size: number, read: () => WatchResponse): void {
    this.#entries.push({ revision, size, read });
    this.#bytes += size;
  }

  get oldest(): bigint | undefined {
    return this.#entries[this.#first]?.revision;
  }

  after(revision: bigint): WatchResponse[] {
    let [low, high] = [this.#first, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.revision ?? 0n) > revision) high = middle;
      else low = middle + 1;
    }
    return this.#entries.slice(low).map(({ read }) => read());
  }

  /** Forgets the oldest revisions that are beyond the limits; gives the keys of their changes. */
  trim(): string[] {
    const forgotten: string[] = [];
    while (this.#count > this.#limits.changes || this.#bytes > this.#limits.bytes) {
      const revision = this.oldest;
      if (revision === undefined) break;
      for (let part = 0; this.oldest === revision; part++) {
        forgotten.push(changeKey(revision, part));
        this.#bytes -= this.#entries[this.#first++]?.size ?? 0;
      }
    }
    if (this.#first > this.#entries.length / 2) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return forgotten;
  }

  get #count(): number {
    return this.#entries.length - this.#first;
  }
}
