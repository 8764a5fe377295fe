// Simulated time: events in order of their time, and the trace of what has happened, whose digest tells
// whether two runs were the same.
import { createHash } from "node:crypto";
import type { DescEnum } from "@bufbuild/protobuf";
import type { Timers } from "../../node-agent/timers.ts";

type Event = { atMs: number; order: number; run: (() => void | Promise<void>) | undefined };

const tailLines = 80;

/** The name of an enum's value, such as RUNNING. */
export function nameOf(schema: DescEnum, value: number): string {
  return schema.value[value]?.localName ?? `${value}`;
}

export class Timeline {
  /** A day in 2026. */
  nowMs = 1_795_000_000_000;
  readonly #startMs = this.nowMs;
  #heap: Event[] = [];
  #order = 0;
  readonly #hash = createHash("sha256");
  readonly #tail: string[] = [];

  /** Returns what takes it back. */
  after(delayMs: number, run: () => void | Promise<void>): () => void {
    const event: Event = { atMs: this.nowMs + Math.ceil(delayMs), order: this.#order++, run };
    this.#heap.push(event);
    this.#rise(this.#heap.length - 1);
    return () => {
      event.run = undefined;
    };
  }

  /** Those of a process: nothing comes to one that is dead. `offsetMs`: how far its machine's clock is off. */
  timers(alive: () => boolean, offsetMs: () => number): Timers {
    return {
      now: () => this.nowMs,
      clock: () => this.nowMs + offsetMs(),
      after: (ms, work) =>
        Number.isFinite(ms)
          ? this.after(ms, () => {
              if (alive()) work();
            })
          : () => {},
    };
  }

  trace(line: string): void {
    const text = `${((this.nowMs - this.#startMs) / 1000).toFixed(3)} ${line}`;
    this.#hash.update(`${text}\n`);
    this.#tail.push(text);
    if (this.#tail.length > 2 * tailLines) this.#tail.splice(0, tailLines);
  }

  get tail(): string[] {
    return this.#tail.slice(-tailLines);
  }

  /** Of the whole trace; the timeline is over then. */
  digest(): string {
    return this.#hash.digest("hex");
  }

  /**
   * Runs events until one after which `done` says so, or until the time is over. `together`: the next event comes
   * before this one has settled, so that the engine decides on both at once.
   */
  async run(untilMs: number, done: () => boolean, together: () => boolean): Promise<void> {
    await settled();
    while (!done()) {
      const event = this.#take();
      if (!event || event.atMs > untilMs) break;
      if (!event.run) continue;
      this.nowMs = event.atMs;
      await event.run();
      if (!together()) await settled();
    }
    await settled();
  }

  #take(): Event | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first && last && first !== last) {
      this.#heap[0] = last;
      this.#sink();
    }
    return first;
  }

  #rise(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfLater(parent, index)) return;
      index = parent;
    }
  }

  #sink(): void {
    let index = 0;
    while (true) {
      const left = 2 * index + 1;
      const child = isLater(this.#heap[left], this.#heap[left + 1]) ? left + 1 : left;
      if (!this.#swapIfLater(index, child)) return;
      index = child;
    }
  }

  #swapIfLater(upper: number, lower: number): boolean {
    const [a, b] = [this.#heap[upper], this.#heap[lower]];
    if (!a || !b || !isLater(a, b)) return false;
    this.#heap[upper] = b;
    this.#heap[lower] = a;
    return true;
  }
}

/** Whatever an event has set off runs on promises alone: after one turn of the loop it has settled. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function isLater(a: Event | undefined, b: Event | undefined): boolean {
  if (!a || !b) return false;
  return a.atMs > b.atMs || (a.atMs === b.atMs && a.order > b.order);
}
