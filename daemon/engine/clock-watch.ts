// Tells when the wall clock was set, by comparing it with a clock that only runs.

/** Smaller differences are the slow corrections of a time server. */
const toleranceMs = 5_000;

export class ClockWatch {
  readonly #wall: () => number;
  readonly #steady: () => number;
  #apartMs: number;

  constructor(wall: () => number, steady: () => number) {
    this.#wall = wall;
    this.#steady = steady;
    this.#apartMs = wall() - steady();
  }

  /** By how many whole milliseconds the wall clock was set since the last jump; 0 if it was not. */
  jump(): number {
    const apartMs = this.#wall() - this.#steady();
    const jumpMs = apartMs - this.#apartMs;
    if (Math.abs(jumpMs) < toleranceMs) return 0;
    this.#apartMs = apartMs;
    // Times that are stored have no fractions; the steady clock has.
    return Math.round(jumpMs);
  }
}
