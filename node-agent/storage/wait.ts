// Waiting for the kernel and udev, always with an end.
import { setTimeout as sleep } from "node:timers/promises";
import type { StepContext } from "../step.ts";

/** What storage work needs of a step's context. */
export type StorageContext = Pick<StepContext, "run" | "log" | "signal">;

/** Asks `check` until it gives something; throws `failure` after the time. */
export async function waitFor<T>(
  check: () => Promise<T | undefined>,
  failure: string,
  signal: AbortSignal,
  timeoutMs = 10_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(failure);
    await sleep(100, undefined, { signal });
  }
}

/** Repeats what fails while something still looks at a device: udev opens every device it has news of. */
export async function withRetry<T>(work: () => Promise<T>, signal: AbortSignal, tries = 5): Promise<T> {
  for (let left = tries - 1; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left <= 0 || signal.aborted) throw error;
      await sleep(500, undefined, { signal });
    }
  }
}

/** Lets udev finish what it has queued; without a udev there is nothing to wait for. */
export async function settle({ run, signal }: StorageContext): Promise<void> {
  await run(["udevadm", "settle", "--timeout=20"], { signal, okCodes: [0, 1] });
}
