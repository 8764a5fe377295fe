// Holds back who has to wait for its turn, as the schedule of rates says.
import type { RateLimits } from "./options.ts";
import { RateSchedule, type Wish } from "./rate-schedule.ts";

type Held = Wish & { go: () => void };

export class Throttle {
  readonly #schedule: RateSchedule<Held>;
  readonly #unlimited: boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: RateLimits) {
    this.#schedule = new RateSchedule(limits);
    this.#unlimited = Object.values(limits).every((limit) => limit === undefined);
  }

  /** Resolves when that much may be sent, or nobody wants it any more. */
  async turn(wish: Wish, signal: AbortSignal): Promise<void> {
    if (this.#unlimited || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const held = { ...wish, go: resolve };
    const leave = () => {
      this.#schedule.remove(held);
      resolve();
    };
    signal.addEventListener("abort", leave);
    this.#schedule.add(held);
    this.#look();
    await promise;
    signal.removeEventListener("abort", leave);
  }

  #look(): void {
    clearTimeout(this.#timer);
    for (const { go } of this.#schedule.grant(performance.now())) go();
    const wait = this.#schedule.waitMs(performance.now());
    if (wait !== undefined) this.#timer = setTimeout(() => this.#look(), Math.max(1, wait));
  }
}
