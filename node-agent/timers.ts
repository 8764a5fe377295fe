// Time as the agent sees it, passed in so that tests and the simulator bring their own.

export type Timers = {
  /** Milliseconds that only grow, for measuring. */
  now(): number;
  /** Milliseconds since 1970, as the machine's clock says; may jump. */
  clock(): number;
  /** Does the work later; what it returns takes that back. */
  after(ms: number, work: () => void): () => void;
};

/** Longer timers would fire at once. */
const longestMs = 2 ** 31 - 1;

export const systemTimers: Timers = {
  now: () => performance.now(),
  clock: () => Date.now(),
  after(ms, work) {
    if (ms > longestMs) return () => {};
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};

/** Returns after that time, or as soon as the signal is aborted. */
export function pause(timers: Timers, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = timers.after(ms, done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
