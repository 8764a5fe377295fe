// Watchers: a snapshot or the missed changes first, then everything as it happens, each watcher at its own
// pace up to a limit.
import { create } from "@bufbuild/protobuf";
import type { Progress } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type WatchResponse, WatchResponseSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { MessageQueue, QueueOverflowError } from "../../proto/rpc/queue.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Store } from "../state/store.ts";

const queueLimit = 10_000;
const bookmarkIntervalMs = 5_000;

export class WatchHub {
  readonly #store: Store;
  readonly #queues = new Set<MessageQueue<WatchResponse>>();

  constructor(store: Store) {
    this.#store = store;
  }

  publish(changes: WatchResponse[]): void {
    for (const queue of this.#queues) for (const change of changes) queue.push(change);
  }

  progress(value: Progress): void {
    this.publish([create(WatchResponseSchema, { change: { case: "progress", value } })]);
  }

  async *watch(startRevision: bigint, signal: AbortSignal): AsyncGenerator<WatchResponse> {
    // Backfill and subscription are taken in one turn of the loop: nothing falls between them.
    const backfill = startRevision === 0n ? this.#snapshot() : this.#store.changesAfter(startRevision);
    if (!backfill) {
      throw new RpcError(codes.OUT_OF_RANGE, `changes after revision ${startRevision} are no longer kept`, {
        reason: "REVISION_COMPACTED",
        metadata: { compact_revision: `${this.#store.oldestRevision}` },
      });
    }
    const queue = new MessageQueue<WatchResponse>(queueLimit);
    this.#queues.add(queue);
    const stop = () => queue.close();
    signal.addEventListener("abort", stop);
    const timer = setInterval(() => queue.push(this.#bookmark()), bookmarkIntervalMs);
    try {
      yield* backfill;
      yield* queue;
    } catch (error) {
      if (!(error instanceof QueueOverflowError)) throw error;
      throw new RpcError(codes.RESOURCE_EXHAUSTED, `the watcher is too slow: ${error.message}`, {
        reason: "CONSUMER_TOO_SLOW",
      });
    } finally {
      clearInterval(timer);
      signal.removeEventListener("abort", stop);
      this.#queues.delete(queue);
    }
  }

  /** Ends every watch: the daemon is stopping. */
  close(): void {
    for (const queue of this.#queues) queue.close();
  }

  #snapshot(): WatchResponse[] {
    const { revision, state } = this.#store;
    const responses = [...state.resources()].map((value) =>
      create(WatchResponseSchema, { revision, change: { case: "put", value } }),
    );
    responses.push(create(WatchResponseSchema, { revision, change: { case: "snapshotEnd", value: {} } }));
    return responses;
  }

  #bookmark(): WatchResponse {
    const { revision } = this.#store;
    return create(WatchResponseSchema, { revision, change: { case: "bookmark", value: {} } });
  }
}
