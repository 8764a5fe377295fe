// An agent asks a real daemon where its image is, and gets it from the data plane's process, also after that was
// killed.
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { DeliveryClient } from "../../daemon/delivery/testing/client.ts";
import { listenerOf } from "../../daemon/delivery/testing/plane.ts";
import { makeStore, type StoredImage, storeImage } from "../../daemon/delivery/testing/store.ts";
import { put } from "../../daemon/domain/state.ts";
import { AgentService, type LocateImageResponse } from "../../proto/gen/muster/v1/agent_pb.ts";
import { ImageSource_Kind as Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { chunkFile } from "../../proto/image/layout.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { methodDefinition } from "../../proto/rpc/wire.ts";
import { openPorts } from "../fuzz/ports.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";

let daemon: TestDaemon;
let image: StoredImage;
let agent: Client;

beforeAll(async () => {
  await using aside = await makeStore();
  image = await storeImage(aside.directory, 5);
  const spec = { name: "n7", macs: ["52:54:00:00:00:77"], labels: { rack: "r7" } };
  const node = create(NodeSchema, { name: "n7", spec, installed: { imageDigest: image.digest } });
  daemon = await startTestDaemon([put({ case: "node", value: node })]);
  await cp(aside.directory, join(daemon.stateDir, "images"), { recursive: true });
  agent = (await openPorts(daemon)).agents();
}, 30_000);

afterAll(async () => {
  agent?.close();
  await daemon?.[Symbol.asyncDispose]();
});

function locate(digest: string): Promise<LocateImageResponse> {
  const { path, requestSerialize, responseDeserialize } = methodDefinition(AgentService.method.locateImage);
  const request = { $typeName: "muster.v1.LocateImageRequest" as const, digest, delivery: 0 };
  return new Promise((resolve, reject) => {
    agent.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, response) =>
      error ? reject(RpcError.from(error)) : resolve(response as LocateImageResponse),
    );
  });
}

async function chunksByGrpc(): Promise<Buffer> {
  const { sources } = await locate(image.digest);
  const { address = "", ticket = "" } = sources.find(({ kind }) => kind === Kind.GRPC) ?? {};
  using client = new DeliveryClient(address, ticket);
  const found = await client.chunks(image.digest, [...image.chunks.keys()]);
  return Buffer.concat(found.map(({ content }) => content));
}

it("by gRPC and by HTTP", async () => {
  const wanted = Buffer.concat(image.chunks.map(({ content }) => content));
  expect(Buffer.compare(await chunksByGrpc(), wanted)).toBe(0);
  const { sources } = await locate(image.digest);
  const { address = "" } = sources.find(({ kind }) => kind === Kind.HTTP) ?? {};
  const parts = await Promise.all(
    image.chunks.map(async ({ name }) => (await fetch(address + chunkFile(name))).bytes()),
  );
  expect(Buffer.compare(Buffer.concat(parts), wanted)).toBe(0);
});

it("not for another image", async () => {
  await expect(locate("b".repeat(64))).rejects.toMatchObject({ code: codes.PERMISSION_DENIED });
});

it("again after the data plane's process was killed, and with the tickets of before after the daemon is back", async () => {
  const { deliveryAddress } = await daemon.muster.daemon.getDaemon({});
  process.kill(listenerOf(deliveryAddress), "SIGKILL");
  await vi.waitFor(async () => expect((await chunksByGrpc()).length).toBe(5 * (64 << 10)), {
    timeout: 10_000,
    interval: 200,
  });
  const { sources } = await locate(image.digest);
  const { ticket = "" } = sources.find(({ kind }) => kind === Kind.GRPC) ?? {};
  await daemon.restart();
  const again = await daemon.muster.daemon.getDaemon({});
  using client = new DeliveryClient(again.deliveryAddress, ticket);
  expect(await client.chunks(image.digest, [0])).toHaveLength(1);
});
