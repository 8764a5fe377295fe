import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { ResourceSchema, WatchResponseSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { World } from "./deployment-world.ts";
import { WatchHub } from "./watch.ts";

/** As many changes as one decision about a very big deployment makes. */
function changes(count: number, revision: bigint) {
  return Array.from({ length: count }, (_, i) => {
    const value = create(ResourceSchema, {
      kind: { case: "node", value: create(NodeSchema, { name: `n${i}` }) },
    });
    return create(WatchResponseSchema, { revision, change: { case: "put", value } });
  });
}

it("lets a watcher have one decision of any size, and ends one that leaves several unread", async () => {
  const { store } = await World.start([]);
  const hub = new WatchHub(store);
  const controller = new AbortController();
  const responses = hub.watch(0n, [], controller.signal);
  while ((await responses.next()).value?.change.case !== "snapshotEnd");
  const first = responses.next();
  hub.publish(changes(40_000, 1n));
  expect((await first).value?.revision).toBe(1n);
  for (let read = 1; read < 40_000; read++) expect((await responses.next()).value?.revision).toBe(1n);

  hub.publish(changes(40_000, 2n));
  hub.publish(changes(1, 3n));
  await expect(responses.next()).rejects.toMatchObject({ reason: "CONSUMER_TOO_SLOW" });
  controller.abort();
});
