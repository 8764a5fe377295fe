// A watch that does not end: it goes on from the last revision when the daemon was away, and begins again with
// everything when the daemon no longer has that revision.
import { setTimeout as sleep } from "node:timers/promises";
import type { WatchRequest_Kind, WatchResponse, WatchService } from "../gen/muster/v1/watch_pb.ts";
import type { ServiceClient } from "../rpc/client.ts";
import { codes, RpcError } from "../rpc/status.ts";

export type FollowItem =
  /** What was known is void: everything follows. Also the first item of all, unless a revision was given. */
  { kind: "restart" } | { kind: "change"; response: WatchResponse };

export type FollowOptions = {
  /** As in WatchRequest. */
  kinds?: WatchRequest_Kind[];
  /** Of what is known already, such as a List answer's. */
  startRevision?: bigint;
  signal?: AbortSignal;
};

const pauseMs = { first: 100, longest: 2_000 };

export async function* follow(
  client: Pick<ServiceClient<typeof WatchService>, "watch">,
  { kinds = [], startRevision = 0n, signal }: FollowOptions = {},
): AsyncGenerator<FollowItem> {
  let revision = startRevision;
  let pause = pauseMs.first;
  while (!signal?.aborted) {
    if (revision === 0n) yield { kind: "restart" };
    let resumable = revision > 0n;
    try {
      for await (const response of client.watch({ startRevision: revision, kinds }, { signal })) {
        pause = pauseMs.first;
        // Before its end a snapshot is no place to go on from.
        resumable ||= response.change.case === "snapshotEnd";
        yield { kind: "change", response };
        if (resumable && response.revision > revision) revision = response.revision;
      }
    } catch (error) {
      if (signal?.aborted) return;
      const { code } = RpcError.from(error);
      if (code === codes.OUT_OF_RANGE) {
        revision = 0n;
        continue;
      }
      // Too slow a reader goes on from what it had; whatever else it is would be the same again.
      if (code !== codes.UNAVAILABLE && code !== codes.RESOURCE_EXHAUSTED) throw error;
    }
    await sleep(pause, undefined, { signal }).catch(() => {});
    pause = Math.min(2 * pause, pauseMs.longest);
  }
}
