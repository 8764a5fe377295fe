// The daemon's Watch stream as it never ends: resumed by revision, started again when the daemon no longer
// has that revision, reconnected with a growing pause when it is gone.
import type { WatchResponse, WatchService } from "../proto/gen/muster/v1/watch_pb.ts";
import type { ServiceClient } from "../proto/rpc/client.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";

export type FeedItem =
  /** What was known is void: a snapshot follows. Also the first item of all. */
  | { kind: "restart" }
  | { kind: "message"; response: WatchResponse }
  | { kind: "broken"; error: RpcError; retryInMs: number };

export type FeedOptions = {
  signal: AbortSignal;
  /** Resolves early when the signal aborts. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
};

const firstPauseMs = 250;
const longestPauseMs = 5000;

type WatchClient = Pick<ServiceClient<typeof WatchService>, "watch">;

export async function* watchFeed(client: WatchClient, options: FeedOptions): AsyncGenerator<FeedItem> {
  const { signal, sleep } = options;
  let revision = 0n;
  let pauseMs = firstPauseMs;
  yield { kind: "restart" };
  while (!signal.aborted) {
    try {
      let complete = revision > 0n;
      for await (const response of client.watch({ startRevision: revision }, { signal })) {
        pauseMs = firstPauseMs;
        complete ||= response.change.case === "snapshotEnd";
        // Before its end a snapshot is no place to resume from.
        if (complete && response.revision > revision) revision = response.revision;
        yield { kind: "message", response };
      }
      yield {
        kind: "broken",
        error: new RpcError(codes.UNAVAILABLE, "the daemon ended the stream"),
        retryInMs: pauseMs,
      };
    } catch (error) {
      if (signal.aborted) return;
      const rpc = RpcError.from(error);
      // Too slow a reader has missed changes; the revision still says which.
      if (rpc.code === codes.OUT_OF_RANGE) revision = 0n;
      yield { kind: "broken", error: rpc, retryInMs: pauseMs };
    }
    if (revision === 0n) yield { kind: "restart" };
    await sleep(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
