// Whether the agent at the other end of a session still speaks: first it is late, and only long after that gone,
// so that a slow node does not flicker.

type Limits = {
  lateMs: number;
  goneMs: number;
  onLate(): void;
  /** It has spoken after it was late. */
  onHeard(): void;
  onGone(): void;
};

export class Liveness {
  readonly #after: (ms: number, work: () => void) => () => void;
  readonly #limits: Limits;
  #late = false;
  #takeBack = () => {};

  constructor(after: (ms: number, work: () => void) => () => void, limits: Limits) {
    this.#after = after;
    this.#limits = limits;
    this.#listen();
  }

  heard(): void {
    if (this.#late) this.#limits.onHeard();
    this.#late = false;
    this.#listen();
  }

  end(): void {
    this.#takeBack();
  }

  #listen(): void {
    const { lateMs, goneMs, onLate, onGone } = this.#limits;
    this.#takeBack();
    this.#takeBack = this.#after(lateMs, () => {
      this.#late = true;
      onLate();
      // Only now: after a standstill of this daemon the agent is late at once, but has yet the time to be heard.
      this.#takeBack = this.#after(goneMs - lateMs, onGone);
    });
  }
}
