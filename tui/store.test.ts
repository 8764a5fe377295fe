import { create } from "@bufbuild/protobuf";
import { describe, expect, it, vi } from "vitest";
import { Step_State } from "../proto/gen/muster/v1/deployment_pb.ts";
import { type WatchResponse, WatchResponseSchema } from "../proto/gen/muster/v1/watch_pb.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { applyResponse, emptyWorld } from "./model.ts";
import { isLive, Store } from "./store.ts";
import { events, node, now, progress, step } from "./testing/fixtures.ts";
import { type FeedItem, watchFeed } from "./watch.ts";

type Kind = Extract<WatchResponse["change"], { case: "put" }>["value"]["kind"];

const message = (change: WatchResponse["change"], revision = 0n) =>
  create(WatchResponseSchema, { change, revision });
const put = (kind: Kind, revision = 0n) =>
  message({ case: "put", value: { $typeName: "muster.v1.Resource", kind } }, revision);
const end = (revision: bigint) =>
  message({ case: "snapshotEnd", value: { $typeName: "muster.v1.SnapshotEnd" } }, revision);
const item = (response: WatchResponse): FeedItem => ({ kind: "message", response });

describe("world", () => {
  it("keeps the last of each thing and forgets what is deleted", () => {
    const world = emptyWorld();
    applyResponse(world, put({ case: "node", value: node("n1") }, 1n));
    applyResponse(world, put({ case: "node", value: node("n1", { reason: "new" }) }, 2n));
    applyResponse(world, put({ case: "step", value: step("n1/image", Step_State.RUNNING) }, 3n));
    expect(world.nodes.get("n1")?.reason).toBe("new");
    applyResponse(world, message({ case: "deleted", value: "node/n1" }, 4n));
    applyResponse(world, message({ case: "deleted", value: "step/demo-1/n1/image" }, 5n));
    expect([world.nodes.size, world.steps.size, world.revision]).toEqual([0, 0, 5n]);
  });

  it("keeps progress only while its step runs, even if it comes late", () => {
    const world = emptyWorld();
    applyResponse(world, put({ case: "step", value: step("n1/image", Step_State.RUNNING) }));
    applyResponse(world, message({ case: "progress", value: progress("n1/image", 5n) }));
    expect(world.progress.size).toBe(1);
    applyResponse(world, put({ case: "step", value: step("n1/image", Step_State.SUCCEEDED) }));
    applyResponse(world, message({ case: "progress", value: progress("n1/image", 9n) }));
    expect(world.progress.size).toBe(0);
  });

  it("bounds its events", () => {
    const world = emptyWorld();
    const [event] = events;
    if (!event) throw new Error("no event in the fixtures");
    for (let count = 0; count < 1200; count++) applyResponse(world, put({ case: "event", value: event }));
    expect(world.events).toHaveLength(1000);
  });
});

describe("store", () => {
  it("publishes nothing of a snapshot before its end, and then at most ten times a second", () => {
    vi.useFakeTimers();
    const store = new Store(() => now);
    const published = vi.fn();
    store.subscribe(published);
    store.take({ kind: "restart" });
    store.take(item(put({ case: "node", value: node("n1") })));
    vi.advanceTimersByTime(150);
    expect(store.getSnapshot().world.nodes.size).toBe(0);
    store.take(item(end(1n)));
    for (let revision = 2n; revision < 500n; revision++) {
      store.take(item(put({ case: "node", value: node("n1") }, revision)));
      vi.advanceTimersByTime(2);
    }
    vi.advanceTimersByTime(100);
    expect(published.mock.calls.length).toBeLessThanOrEqual(13);
    expect(store.getSnapshot().world).toMatchObject({ revision: 499n, complete: true });
    vi.useRealTimers();
  });

  it("changes nothing in a snapshot that it has handed out", () => {
    const store = new Store(() => now);
    store.take(item(end(1n)));
    store.publish();
    const before = store.getSnapshot();
    store.take(item(put({ case: "node", value: node("n1") }, 2n)));
    store.publish();
    expect(before.world.nodes.size).toBe(0);
    expect(store.getSnapshot().world.nodes.size).toBe(1);
  });

  it("keeps showing the old world while a new snapshot comes, but not as live", () => {
    const store = new Store(() => now);
    store.take(item(put({ case: "node", value: node("n1") })));
    store.take(item(end(1n)));
    store.take({ kind: "restart" });
    store.publish();
    expect(store.getSnapshot().world.nodes.size).toBe(1);
    expect(isLive(store.getSnapshot(), now)).toBe(false);
    store.take(item(end(2n)));
    store.publish();
    expect(store.getSnapshot().world.nodes.size).toBe(0);
    expect(isLive(store.getSnapshot(), now)).toBe(true);
    expect(isLive(store.getSnapshot(), now + 16_000)).toBe(false);
  });
});

describe("feed", () => {
  /** A Watch that plays one script after another and notes from where each was asked for. */
  async function play(scripts: (WatchResponse | RpcError)[][], items: number) {
    const asked: bigint[] = [];
    const stop = new AbortController();
    const watch = async function* ({ startRevision }: { startRevision?: bigint }) {
      asked.push(startRevision ?? 0n);
      for (const next of scripts.shift() ?? []) {
        if (next instanceof RpcError) throw next;
        yield next;
      }
    };
    const pauses: number[] = [];
    const sleep = async (ms: number) => void pauses.push(ms);
    const seen: string[] = [];
    for await (const next of watchFeed({ watch } as never, { signal: stop.signal, sleep })) {
      seen.push(next.kind);
      if (seen.length === items) break;
    }
    return { asked, pauses, seen };
  }

  it("resumes after the last revision when the connection breaks, waiting longer each time", async () => {
    const gone = new RpcError(codes.UNAVAILABLE, "gone");
    const { asked, pauses } = await play([[end(7n), gone], [gone], [gone], [end(8n)]], 6);
    expect(asked).toEqual([0n, 7n, 7n, 7n]);
    expect(pauses).toEqual([250, 500, 1000]);
  });

  it("starts again from a snapshot when its revision is no longer there", async () => {
    const compacted = new RpcError(codes.OUT_OF_RANGE, "compacted", { reason: "REVISION_COMPACTED" });
    const { asked, seen } = await play([[end(7n)], [compacted], [end(90n)]], 6);
    expect(asked).toEqual([0n, 7n, 0n]);
    expect(seen).toEqual(["restart", "message", "broken", "broken", "restart", "message"]);
  });

  it("does not resume from the middle of a snapshot", async () => {
    const half = put({ case: "node", value: node("n1") }, 7n);
    const { asked } = await play([[half, new RpcError(codes.UNAVAILABLE, "gone")], [end(7n)]], 5);
    expect(asked).toEqual([0n, 0n]);
  });
});
