// How long to wait before the next try: doubling, with jitter, so that many nodes do not come back at once.

export class Backoff {
  readonly #firstMs: number;
  readonly #lastMs: number;
  readonly #random: () => number;
  #nextMs: number;

  constructor(firstMs = 500, lastMs = 10_000, random: () => number = Math.random) {
    this.#firstMs = firstMs;
    this.#lastMs = lastMs;
    this.#random = random;
    this.#nextMs = firstMs;
  }

  /** Milliseconds: between half and all of the current step. */
  next(): number {
    const wait = this.#nextMs * (0.5 + this.#random() / 2);
    this.#nextMs = Math.min(this.#nextMs * 2, this.#lastMs);
    return wait;
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
