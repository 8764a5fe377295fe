// Watching over the real socket: kinds, resuming, what is no longer kept, and a client that does not read.
import { connect as connectHttp2, constants } from "node:http2";
import { connect as connectSocket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { manifests } from "../../daemon/domain/plan-fixture.ts";
import { put } from "../../daemon/domain/state.ts";
import {
  WatchRequest_Kind as Kind,
  WatchRequestSchema,
  type WatchResponse,
} from "../../proto/gen/muster/v1/watch_pb.ts";
import { codes } from "../../proto/rpc/status.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";

let daemon: TestDaemon;
beforeEach(async () => {
  const record = { name: "n1/ntp", node: "n1", task: "ntp" };
  daemon = await startTestDaemon([put({ case: "taskRecord", value: record })]);
});
afterEach(() => daemon[Symbol.asyncDispose]());

/** What comes until `enough`, in short: `put node`, `deleted task/ntp`, `bookmark`. */
async function heard(
  request: { startRevision?: bigint; kinds?: Kind[] },
  enough: (heard: string[], response: WatchResponse) => boolean,
): Promise<string[]> {
  const all: string[] = [];
  for await (const response of daemon.muster.watch.watch(request)) {
    all.push(inShort(response));
    if (enough(all, response)) break;
  }
  return all;
}

function inShort({ change }: WatchResponse): string {
  if (change.case === "put") return `put ${change.value.kind.case}`;
  return change.case === "deleted" ? `deleted ${change.value}` : `${change.case}`;
}

describe("a watch", () => {
  it("begins with everything but history, or with the kinds that are asked for", async () => {
    const all = await heard({}, (_, { change }) => change.case === "snapshotEnd");
    expect(all.filter((line) => line !== "put event")).toEqual([
      "put image",
      "put node",
      "put node",
      "snapshotEnd",
    ]);
    const some = await heard(
      { kinds: [Kind.IMAGE, Kind.TASK_RECORD] },
      (_, { change }) => change.case === "snapshotEnd",
    );
    expect(some).toEqual(["put image", "snapshotEnd"]);
  });

  it("goes on from a List without a gap, with deletions, of the kinds that are asked for", async () => {
    const { clusters, nodes } = daemon.muster;
    const { revision } = await nodes.listNodes({});
    await clusters.apply({ files: [{ path: "demo.yaml", content: manifests }] });
    const { document } = await clusters.getDocument({ name: "task/join" });
    await clusters.deleteDocument({ name: "task/join", etag: document?.etag });
    const { node } = await nodes.updateNode({ node: { name: "n2", retired: true } });
    const kinds = [Kind.CLUSTER, Kind.DOCUMENT, Kind.NODE];
    const lines = await heard(
      { startRevision: revision, kinds },
      (_, response) => response.revision === node?.revision,
    );
    expect(lines.filter((line) => line === "put document")).toHaveLength(6);
    expect(lines.filter((line) => line !== "put document")).toEqual([
      "put cluster",
      "deleted task/join",
      "put node",
    ]);
  });

  it("says up to which revision there is nothing new", async () => {
    const { revision } = await daemon.muster.nodes.listNodes({});
    const lines = await heard(
      { startRevision: revision, kinds: [Kind.CLUSTER] },
      (_, { change }) => change.case === "bookmark",
    );
    expect(lines).toEqual(["bookmark"]);
  });

  it("refuses a revision that is no longer kept, that never was, or below zero", async () => {
    const { watch, nodes } = daemon.muster;
    const { revision } = await nodes.listNodes({});
    await expect(first(daemon, 1_000_000n)).rejects.toMatchObject({
      code: codes.OUT_OF_RANGE,
      reason: "REVISION_COMPACTED",
      metadata: { revision: `${revision}` },
    });
    await expect(first(daemon, -1n)).rejects.toMatchObject({ code: codes.INVALID_ARGUMENT });
    await expect(
      (async () => {
        for await (const _ of watch.watch({ kinds: [99 as Kind] })) return;
      })(),
    ).rejects.toMatchObject({ code: codes.INVALID_ARGUMENT });
  });

  it("of a client that does not read is ended with the reason, and disturbs nobody", async () => {
    // More than what is queued for one watcher and what the transport takes in; each is a node and its event.
    const changes = 10_500;
    const slow = await slowWatch(daemon.socket);
    const { nodes, follow } = daemon.muster;
    const { revision } = await nodes.listNodes({});
    const seen = (async () => {
      let count = 0;
      for await (const item of follow({ startRevision: revision, kinds: [Kind.NODE] })) {
        if (item.kind !== "change" || item.response.change.case !== "put") continue;
        if (++count === changes) return count;
      }
    })();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < changes; ) {
      const batch = Array.from({ length: 400 }, () =>
        nodes.updateNode({ node: { name: "n1", maintenanceReason: `${i++}` } }),
      );
      await Promise.all(batch);
    }
    expect(await seen).toBe(changes);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(300 << 20);
    // So many that not all of them are kept.
    await expect(first(daemon, revision)).rejects.toMatchObject({
      code: codes.OUT_OF_RANGE,
      reason: "REVISION_COMPACTED",
      metadata: { compact_revision: expect.stringMatching(/^[1-9]/) },
    });
    expect(await slow.readOn()).toMatchObject({ status: `${codes.RESOURCE_EXHAUSTED}` });
  });
}, 120_000);

async function first({ muster }: TestDaemon, startRevision: bigint): Promise<WatchResponse | undefined> {
  for await (const response of muster.watch.watch({ startRevision })) return response;
}

/** A Watch whose client takes nothing in; `readOn` then reads to the end and gives the status in the trailers. */
async function slowWatch(socket: string) {
  const session = connectHttp2("http://localhost", { createConnection: () => connectSocket(socket) });
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: "/muster.v1.WatchService/Watch",
    "content-type": "application/grpc",
    te: "trailers",
  });
  const request = toBinary(WatchRequestSchema, create(WatchRequestSchema, {}));
  const header = Buffer.alloc(5);
  header.writeUInt32BE(request.length, 1);
  stream.end(Buffer.concat([header, request]));
  stream.pause();
  await sleep(100);
  const readOn = () =>
    new Promise<{ status: string }>((resolve, reject) => {
      stream.on("trailers", (trailers) => {
        session.destroy();
        resolve({ status: String(trailers["grpc-status"]) });
      });
      stream.on("error", reject);
      stream.resume();
    });
  return { readOn };
}
