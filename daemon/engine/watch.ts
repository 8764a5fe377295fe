// Watchers: a snapshot or the missed changes first, then everything as it happens, each watcher at its own
// pace up to a limit.
import { create } from "@bufbuild/protobuf";
import type { Progress } from "../../proto/gen/muster/v1/deployment_pb.ts";
import {
  WatchRequest_Kind as Kind,
  type Resource,
  type WatchResponse,
  WatchResponseSchema,
} from "../../proto/gen/muster/v1/watch_pb.ts";
import { MessageQueue, QueueOverflowError } from "../../proto/rpc/queue.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Store } from "../state/store.ts";

const queueLimit = 10_000;
const bookmarkIntervalMs = 5_000;

type Watcher = { queue: MessageQueue<WatchResponse>; wants: (response: WatchResponse) => boolean };

export class WatchHub {
  readonly #store: Store;
  readonly #watchers = new Set<Watcher>();
  /** Called after every publish, for those who wait for the state to be something. */
  readonly #lookers = new Set<() => void>();
  #closed = false;

  constructor(store: Store) {
    this.#store = store;
  }

  publish(changes: WatchResponse[]): void {
    for (const watcher of this.#watchers) this.#push(watcher, changes);
    for (const look of this.#lookers) look();
  }

  progress(value: Progress): void {
    const response = create(WatchResponseSchema, { change: { case: "progress", value } });
    for (const watcher of this.#watchers) this.#push(watcher, [response]);
  }

  async *watch(
    startRevision: bigint,
    kinds: readonly Kind[],
    signal: AbortSignal,
  ): AsyncGenerator<WatchResponse> {
    const wants = wanted(kinds);
    // Backfill and subscription are taken in one turn of the loop: nothing falls between them.
    const backfill = startRevision === 0n ? this.#snapshot() : this.#missed(startRevision);
    const queue = new MessageQueue<WatchResponse>(queueLimit);
    const watcher = { queue, wants };
    this.#watchers.add(watcher);
    const stop = () => queue.close();
    signal.addEventListener("abort", stop);
    const timer = setInterval(() => this.#push(watcher, [this.#bookmark()]), bookmarkIntervalMs);
    if (this.#closed) stop();
    try {
      for (const response of backfill) if (wants(response)) yield response;
      yield* queue;
    } catch (error) {
      if (!(error instanceof QueueOverflowError)) throw error;
      const message = `the watcher is too slow: ${error.message}; watch again from the last revision that it had`;
      throw new RpcError(codes.RESOURCE_EXHAUSTED, message, { reason: "CONSUMER_TOO_SLOW" });
    } finally {
      clearInterval(timer);
      signal.removeEventListener("abort", stop);
      this.#watchers.delete(watcher);
    }
  }

  /** What `look` finds, as soon as it finds anything; or undefined after the time, or when the caller has gone. */
  until<T>(look: () => T | undefined, timeoutMs: number, signal: AbortSignal): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        this.#lookers.delete(tryOnce);
        signal.removeEventListener("abort", giveUp);
        settle();
      };
      const tryOnce = () => {
        const found = look();
        if (found !== undefined) end(() => resolve(found));
        else if (this.#closed) end(() => reject(stopping()));
      };
      const giveUp = () => end(() => resolve(undefined));
      const timer = setTimeout(giveUp, timeoutMs);
      this.#lookers.add(tryOnce);
      signal.addEventListener("abort", giveUp);
      if (signal.aborted) giveUp();
      else tryOnce();
    });
  }

  /** Ends every watch: the daemon is stopping. */
  close(): void {
    this.#closed = true;
    for (const { queue } of this.#watchers) queue.close();
    for (const look of this.#lookers) look();
  }

  /**
   * A watcher that has overflowed is told when it reads on; until then it gets nothing more. What is published at
   * once is let in whole: a big deployment begins with more changes than a slow watcher may leave unread.
   */
  #push(watcher: Watcher, responses: WatchResponse[]): void {
    const wanted = responses.filter(watcher.wants);
    if (wanted.length && !watcher.queue.pushAll(wanted)) this.#watchers.delete(watcher);
  }

  #snapshot(): WatchResponse[] {
    const { revision, state } = this.#store;
    const responses = [...state.resources()].map((value) =>
      create(WatchResponseSchema, { revision, change: { case: "put", value } }),
    );
    responses.push(create(WatchResponseSchema, { revision, change: { case: "snapshotEnd", value: {} } }));
    return responses;
  }

  #missed(startRevision: bigint): WatchResponse[] {
    const { revision, oldestRevision } = this.#store;
    // A client of another, newer life of this daemon: what it has seen is not what happened here.
    const known = startRevision <= revision ? this.#store.changesAfter(startRevision) : undefined;
    if (known) return known;
    const message =
      startRevision > revision
        ? `revision ${startRevision} has not been: the newest is ${revision}; start again at 0`
        : `changes after revision ${startRevision} are no longer kept; start again at 0`;
    throw new RpcError(codes.OUT_OF_RANGE, message, {
      reason: "REVISION_COMPACTED",
      metadata: { compact_revision: `${oldestRevision}`, revision: `${revision}` },
    });
  }

  #bookmark(): WatchResponse {
    const { revision } = this.#store;
    return create(WatchResponseSchema, { revision, change: { case: "bookmark", value: {} } });
  }
}

const kindOfCase: Record<NonNullable<Resource["kind"]["case"]>, Kind> = {
  node: Kind.NODE,
  cluster: Kind.CLUSTER,
  image: Kind.IMAGE,
  deployment: Kind.DEPLOYMENT,
  step: Kind.STEP,
  event: Kind.EVENT,
  document: Kind.DOCUMENT,
  attempt: Kind.ATTEMPT,
  taskRecord: Kind.TASK_RECORD,
};
/** Documents are named by what they are: `role/NAME`. */
const kindOfName: Record<string, Kind> = {
  ...kindOfCase,
  role: Kind.DOCUMENT,
  scheme: Kind.DOCUMENT,
  task: Kind.DOCUMENT,
  mirror: Kind.DOCUMENT,
};
/** Only for those who ask: there are many. */
const onRequest: readonly Kind[] = [Kind.ATTEMPT, Kind.TASK_RECORD];

function wanted(kinds: readonly Kind[]): (response: WatchResponse) => boolean {
  const wants = (kind: Kind | undefined) =>
    kind !== undefined && (kinds.length ? kinds.includes(kind) : !onRequest.includes(kind));
  return ({ change }) => {
    switch (change.case) {
      case "put":
        return wants(change.value.kind.case && kindOfCase[change.value.kind.case]);
      case "deleted":
        return wants(kindOfName[change.value.slice(0, change.value.indexOf("/"))]);
      case "progress":
        return wants(Kind.PROGRESS);
      default:
        return true;
    }
  };
}

function stopping(): RpcError {
  return new RpcError(codes.UNAVAILABLE, "the daemon is stopping: call again when it is back", {
    reason: "STOPPING",
  });
}
