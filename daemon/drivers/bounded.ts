// Work on many files, a few at a time.

// Enough to keep a disk busy; few enough to leave memory and the event loop alone.
const parallel = 4;

export type Progress = (done: number, total: number) => void;

/** Stops taking further items at the first failure, and throws it when those under way have ended. */
export async function mapBounded<T, R>(
  items: readonly T[],
  onProgress: Progress | undefined,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const queue = items.entries();
  let done = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const [i, item] of queue) {
      if (failed) return;
      try {
        results[i] = await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
      done++;
      onProgress?.(done, items.length);
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: parallel }, worker));
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure) throw failure.reason;
  return results;
}
