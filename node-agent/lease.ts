// How long the daemon may be silent before its session counts no more. Every message from it starts the time
// anew, unless it comes too late.
import type { Timers } from "./timers.ts";

export class Lease {
  readonly #timers: Timers;
  readonly #onOver: () => void;
  #lengthMs = 0;
  #endsMs = Infinity;
  #over = false;
  #takeBack = () => {};

  constructor(timers: Timers, onOver: () => void) {
    this.#timers = timers;
    this.#onOver = onOver;
  }

  /** For good, once it is. A timer alone would not do: after a standstill, what was received is read first. */
  get over(): boolean {
    this.#over ||= this.#timers.now() > this.#endsMs;
    return this.#over;
  }

  begin(lengthMs: number): void {
    this.#lengthMs = lengthMs;
    this.#endsMs = this.#timers.now() + lengthMs;
    this.#takeBack();
    this.#watch();
  }

  /** False if it is over. */
  renew(): boolean {
    if (this.over) return false;
    this.#endsMs = this.#timers.now() + this.#lengthMs;
    return true;
  }

  end(): void {
    this.#takeBack();
  }

  /** One timer for all renewals: it looks when it was to end, and again when that was put off. */
  #watch(): void {
    const leftMs = this.#endsMs - this.#timers.now();
    this.#takeBack = this.#timers.after(leftMs + 1, () => {
      if (this.over) this.#onOver();
      else this.#watch();
    });
  }
}
