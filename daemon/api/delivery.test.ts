// Where agents are sent for images, with the real engine; and what is told of sources that lie.
import { create } from "@bufbuild/protobuf";
import { beforeEach, expect, it } from "vitest";
import { LocateImageRequestSchema, ReportSourceRequestSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import { ImageSource_Kind as Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import { Delivery } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { codes } from "../../proto/rpc/status.ts";
import { put } from "../domain/state.ts";
import { World } from "../engine/deployment-world.ts";
import { ImageSources } from "./delivery.ts";

const digest = "d".repeat(64);
const former = "f".repeat(64);
const forgotten = "9".repeat(64);

let world: World;
let sources: ImageSources;
let admitted: { images: string[]; node: string; rack: string }[];

beforeEach(async () => {
  world = await World.start([]);
  const labels = { rack: "r1" };
  const installed = { imageDigest: digest };
  const spec = { name: "n1", macs: ["52:54:00:00:00:01"], labels };
  await change({ case: "node", value: create(NodeSchema, { name: "n1", spec, installed }) });
  await change({ case: "image", value: { name: "debian", digest, formerDigests: [forgotten, former] } });
  await mirror("near", { rack: "r1" }, "http://10.0.1.5/muster");
  await mirror("far", { rack: "r2" }, "http://10.0.2.5/");
  admitted = [];
  sources = new ImageSources({
    engine: world.engine,
    images: {
      signed: async (wanted) =>
        wanted === digest || wanted === former
          ? { manifest: new Uint8Array(), signature: new Uint8Array() }
          : undefined,
    },
    admit: (who) => {
      admitted.push(who);
      return { ticket: "T", grpcAddress: "10.0.0.1:8083", httpAddress: "http://10.0.0.1:8084/t/T/" };
    },
    clock: () => world.nowMs,
  });
});

const change = (kind: Parameters<typeof put>[0]) =>
  world.engine.decide((decision) => decision.change(put(kind)));

const mirror = (name: string, labels: Record<string, string>, url: string) =>
  change({
    case: "document",
    value: { name: `mirror/${name}`, manifest: { kind: { case: "mirror", value: { name, labels, url } } } },
  });

const locate = (wanted = digest, delivery: Delivery = Delivery.AUTO) =>
  sources.locate(world.node("n1"), create(LocateImageRequestSchema, { digest: wanted, delivery }));

const report = (fields: { mirror?: string; fault?: string }) =>
  sources.report(
    world.node("n1"),
    create(ReportSourceRequestSchema, { kind: Kind.HTTP, mirror: "near", digest, fault: "x", ...fields }),
  );

const lies = () => world.engine.state.events.filter(({ reason }) => reason === "SOURCE_LIES");

it("sends an agent to its mirror, then to the daemon, with a ticket for the image and its former ones", async () => {
  expect(await locate()).toEqual({
    sources: [
      { kind: Kind.HTTP, address: "http://10.0.1.5/muster/", mirror: "near" },
      { kind: Kind.GRPC, address: "10.0.0.1:8083", ticket: "T" },
      { kind: Kind.HTTP, address: "http://10.0.0.1:8084/t/T/" },
    ],
    // What the store has no longer is left out.
    formerDigests: [former],
  });
  expect(admitted).toEqual([{ images: [digest, former], node: "n1", rack: "r1" }]);
});

it("sends to the torrent only who wants it", async () => {
  const { sources: found = [] } = await locate(digest, Delivery.TORRENT);
  expect(found[0]).toEqual({
    kind: Kind.TORRENT,
    address: `http://10.0.0.1:8084/t/T/torrent/${digest}.torrent`,
  });
});

it("refuses an image that is not for the node, and one that the store has not", async () => {
  await expect(locate(former)).rejects.toMatchObject({
    code: codes.PERMISSION_DENIED,
    reason: "IMAGE_NOT_ASSIGNED",
  });
  const installed = { imageDigest: forgotten };
  await change({ case: "node", value: create(NodeSchema, { name: "n1", installed }) });
  await expect(locate(forgotten)).rejects.toMatchObject({ code: codes.NOT_FOUND });
  expect(admitted).toEqual([]);
});

it("tells the operator of a lie once an hour, and sends agents there last for so long", async () => {
  await report({ fault: "chunk 3 is another" });
  await report({ fault: "chunk 3 is another" });
  expect(lies()).toHaveLength(1);
  expect(lies()[0]).toMatchObject({ severity: Event_Severity.WARNING, subject: "mirror/near" });
  expect(lies()[0]?.message).toBe(
    "mirror near gave n1 something else than image debian: chunk 3 is another. It is asked last for an hour; " +
      "fill it again with `muster image push`, or delete it",
  );
  expect((await locate()).sources?.at(-1)).toMatchObject({ mirror: "near" });
  world.nowMs += 3_600_000;
  expect((await locate()).sources?.[0]).toMatchObject({ mirror: "near" });
  await report({ fault: "chunk 3 is another" });
  expect(lies()).toHaveLength(2);
});

it("names the daemon's own store, and tells no more than a hundred faults an hour", async () => {
  for (let i = 0; i < 150; i++) await report({ mirror: "", fault: `chunk ${i} is another` });
  expect(lies()).toHaveLength(100);
  expect(lies()[0]?.message).toContain("the daemon's own store gave n1");
  expect(lies()[0]?.subject).toBe("node/n1");
});
