// How long to wait before the next try: anywhere between nothing and a limit that doubles, so that many nodes
// do not come back at once.

const firstMs = 500;
const lastMs = 16_000;
/**
 * A daemon that restarts loses every session in one moment. Its nodes come back spread over this time: 5,000 of
 * them at 625 a second, a little less than the 700 TLS handshakes a second that one core can do.
 */
const spreadMs = 8_000;

export class Backoff {
  readonly #random: () => number;
  readonly #spreadMs: number;
  #limitMs = firstMs;

  constructor(random: () => number = Math.random, spread = spreadMs) {
    this.#random = random;
    this.#spreadMs = spread;
  }

  /** Milliseconds. */
  next(): number {
    const wait = this.#limitMs * this.#random();
    this.#limitMs = Math.min(this.#limitMs * 2, lastMs);
    return wait;
  }

  /** It worked. What was reached is lost by all others at the same moment, if it is. */
  reset(): void {
    this.#limitMs = this.#spreadMs;
  }
}
