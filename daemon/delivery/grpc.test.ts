// DeliveryService from the real process over a loopback socket.
import { rm, truncate } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { DeliveryClient } from "./testing/client.ts";
import { startTestPlane, type TestPlane, ticketKey } from "./testing/plane.ts";
import { rawCall } from "./testing/raw-call.ts";
import { type StoredImage, storeImage } from "./testing/store.ts";
import { issueTicket } from "./ticket.ts";

let plane: TestPlane;
let image: StoredImage;

beforeAll(async () => {
  plane = await startTestPlane({ stallMs: 1_500 });
  image = await storeImage(plane.directory, 40);
}, 30_000);
afterAll(() => plane?.[Symbol.asyncDispose]());

const failure = (call: Promise<unknown>) =>
  call.then(
    () => expect.fail("it was answered"),
    (error: unknown) => RpcError.from(error),
  );

describe("chunks", () => {
  it("come as they are stored, in the order asked for, also over and over", async () => {
    using client = plane.client([image.digest]);
    const indexes = [3, 0, 39, 3, ...Array(40).keys()];
    const found = await client.chunks(image.digest, indexes);
    expect(found.map(({ index }) => index)).toEqual(indexes);
    for (const { index, content } of found) {
      expect(Buffer.compare(content, image.chunks[index]?.content ?? new Uint8Array())).toBe(0);
    }
  });

  it("of large images do not wait for each other's calls", async () => {
    const clients = Array.from({ length: 8 }, () => plane.client([image.digest]));
    const all = await Promise.all(
      clients.map((client) => client.chunks(image.digest, [...Array(40).keys()])),
    );
    for (const client of clients) client[Symbol.dispose]();
    expect(all.map((found) => found.length)).toEqual(Array(8).fill(40));
  });

  it("that the image has not are refused before any is sent", async () => {
    using client = plane.client([image.digest]);
    const error = await failure(client.chunks(image.digest, [0, 40]));
    expect(error).toMatchObject({ code: codes.NOT_FOUND, reason: "NOT_FOUND" });
    expect(error.message).toContain("has 40 chunks, and none with index 40");
  });

  it("that are missing from the store, or cut, are named with the remedy; those before them come", async () => {
    const damaged = await storeImage(plane.directory, 3);
    const [, gone, cut] = damaged.chunks;
    await rm(gone?.path ?? "");
    await truncate(cut?.path ?? "", 1000);
    using client = plane.client([damaged.digest]);
    const call = client.stream(damaged.digest, [0, 1]);
    const came: number[] = [];
    const error = await failure(
      (async () => {
        for await (const { index } of call) came.push(index);
      })(),
    );
    expect(came).toEqual([0]);
    expect(error).toMatchObject({ code: codes.DATA_LOSS, reason: "IMAGE_DAMAGED" });
    expect(error.message).toBe(
      `chunk ${gone?.name} of image ${damaged.digest} is missing from the store: ` +
        "run `muster image repair` with a good copy of the image",
    );
    const other = await failure(client.chunks(damaged.digest, [2]));
    expect(other).toMatchObject({ code: codes.DATA_LOSS, reason: "IMAGE_DAMAGED" });
    expect(other.message).toContain(`has 1000 bytes in the store, not ${64 << 10}`);
  });
});

describe("manifests", () => {
  it("come with their signature, also those of former images that the ticket names", async () => {
    const former = await storeImage(plane.directory, 1);
    using client = plane.client([image.digest, former.digest]);
    for (const { digest, manifest, signature } of [image, former]) {
      const answer = await client.manifest(digest);
      expect(Buffer.from(answer.manifest?.manifest ?? [])).toEqual(Buffer.from(manifest));
      expect(Buffer.from(answer.manifest?.signature ?? [])).toEqual(signature);
    }
  });

  it("that the store has not are not found", async () => {
    const none = "e".repeat(64);
    using client = plane.client([none]);
    expect(await failure(client.manifest(none))).toMatchObject({ code: codes.NOT_FOUND });
    expect(await failure(client.chunks(none, [0]))).toMatchObject({ code: codes.NOT_FOUND });
  });
});

it("refuses whoever has no ticket, a damaged, an expired, or one for another image", async () => {
  const { grpcAddress, ticket } = plane.plane.admit({ images: [image.digest], node: "n1", rack: "" });
  const late = { images: [image.digest], node: "n1", rack: "", expiryMs: Date.now() - 1 };
  const elsewhere = plane.plane.admit({ images: ["e".repeat(64)], node: "n1", rack: "" }).ticket;
  for (const bad of ["", ticket.slice(1), issueTicket(ticketKey, late), elsewhere]) {
    using client = new DeliveryClient(grpcAddress, bad);
    for (const call of [client.manifest(image.digest), client.chunks(image.digest, [0])]) {
      const error = await failure(call);
      expect(error).toMatchObject({ code: codes.UNAUTHENTICATED, reason: "TICKET" });
      if (bad) expect(error.message).not.toContain(bad);
    }
  }
  expect(plane.log.join("")).not.toContain(ticket);
});

describe("a receiver that does not read", () => {
  it("adds at most 2 MiB each, is given up after the deadline, and leaves nothing behind", async () => {
    const large = await storeImage(plane.directory, 64, 512 << 10);
    const count = 64;
    using warm = plane.client([large.digest]);
    await warm.chunks(large.digest, [0]);
    const before = plane.memory();
    const { grpcAddress, ticket } = plane.plane.admit({ images: [large.digest], node: "n1", rack: "" });
    const all = [...Array(64).keys()];
    const calls = Array.from({ length: count }, () => rawCall(grpcAddress, ticket, large.digest, all));
    await delay(1_000);
    const added = (plane.memory() - before) / count;
    console.log(`a stalled receiver adds ${added.toFixed(2)} MiB`);
    expect(added).toBeLessThan(2);
    await delay(1_500);
    // It learns of it when it reads on: what was under way comes, all of it whole, then the reason.
    const [first] = calls;
    const { messages, status } = (await first?.readAll()) ?? { messages: [], status: 0 };
    expect(status).toBe(codes.ABORTED);
    expect(messages.length).toBeGreaterThan(1);
    expect(messages.length).toBeLessThan(20);
    for (const [i, { index, content }] of messages.entries()) {
      expect(index).toBe(i);
      expect(Buffer.compare(content, large.chunks[index]?.content ?? new Uint8Array())).toBe(0);
    }
    for (const call of calls) call[Symbol.dispose]();
    // Others were served all the time, and still are.
    expect(await warm.chunks(large.digest, [0])).toHaveLength(1);
  }, 30_000);

  it("that only pauses for less than the deadline gets everything", async () => {
    const large = await storeImage(plane.directory, 32, 512 << 10);
    using client = plane.client([large.digest]);
    let came = 0;
    for await (const _ of client.stream(large.digest, [...Array(32).keys()])) {
      if (came++ % 16 === 0) await delay(700);
    }
    expect(came).toBe(32);
  });
});
