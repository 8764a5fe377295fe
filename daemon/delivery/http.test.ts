// The static files from the real process over a loopback socket.

import { rm } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chunkFile, manifestFile, signatureFile } from "../../proto/image/layout.ts";
import { startTestPlane, type TestPlane, ticketKey } from "./testing/plane.ts";
import { type StoredImage, storeImage } from "./testing/store.ts";
import { issueTicket } from "./ticket.ts";

let plane: TestPlane;
let image: StoredImage;
let base: string;
let first: StoredImage["chunks"][number];

beforeAll(async () => {
  plane = await startTestPlane({ stallMs: 1_000 });
  image = await storeImage(plane.directory, 60);
  base = plane.base([image.digest]);
  [first = first] = image.chunks;
}, 30_000);
afterAll(() => plane?.[Symbol.asyncDispose]());

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

describe("files", () => {
  it("are manifests with their signatures, and chunks, as a mirror has them", async () => {
    const { digest, manifest, signature } = image;
    expect(await bytesOf(await fetch(base + manifestFile(digest)))).toEqual(Buffer.from(manifest));
    expect(await bytesOf(await fetch(base + signatureFile(digest)))).toEqual(Buffer.from(signature));
    for (const { name, content } of image.chunks) {
      const response = await fetch(base + chunkFile(name));
      expect(response.status).toBe(200);
      expect(Buffer.compare(await bytesOf(response), content)).toBe(0);
    }
  });

  it("may be kept by caches for ever, and are asked for by their tag", async () => {
    const response = await fetch(base + chunkFile(first.name), { method: "HEAD" });
    expect(response.headers.get("content-length")).toBe(`${first.content.length}`);
    expect(response.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    const etag = response.headers.get("etag") ?? "";
    const again = await fetch(base + chunkFile(first.name), { headers: { "if-none-match": etag } });
    expect(again.status).toBe(304);
    expect(await again.text()).toBe("");
  });

  it.each([
    ["bytes=0-0", 0, 1],
    ["bytes=100-199", 100, 200],
    ["bytes=-5", (64 << 10) - 5, 64 << 10],
    ["bytes=65000-", 65_000, 64 << 10],
    ["bytes=65000-999999", 65_000, 64 << 10],
  ])("are given in part: %s", async (range, from, to) => {
    const response = await fetch(base + chunkFile(first.name), { headers: { range } });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes ${from}-${to - 1}/${64 << 10}`);
    expect(Buffer.compare(await bytesOf(response), first.content.subarray(from, to))).toBe(0);
  });

  it("have no part beyond their end", async () => {
    const response = await fetch(base + chunkFile(first.name), { headers: { range: "bytes=65536-" } });
    expect(response.status).toBe(416);
    expect(response.headers.get("content-range")).toBe(`bytes */${64 << 10}`);
  });

  it("that are missing are not found, with the remedy, and the connection goes on", async () => {
    const damaged = await storeImage(plane.directory, 2);
    const [gone, there] = damaged.chunks;
    await rm(gone?.path ?? "");
    const response = await fetch(plane.base([damaged.digest]) + chunkFile(gone?.name ?? ""));
    expect(response.status).toBe(404);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.text()).toContain("is missing from the store: run `muster image repair`");
    expect((await fetch(plane.base([damaged.digest]) + chunkFile(there?.name ?? ""))).status).toBe(200);
  });
});

describe("access", () => {
  it("is refused without a ticket of this daemon, with an expired one, and to what is not of its image", async () => {
    const other = await storeImage(plane.directory, 1);
    const late = { images: [image.digest], node: "n1", rack: "", expiryMs: Date.now() - 1 };
    const origin = new URL(base).origin;
    for (const bad of ["x.y", "..", issueTicket(ticketKey, late), issueTicket(new Uint8Array(32), late)]) {
      for (const path of [chunkFile(first.name), manifestFile(image.digest)]) {
        // fetch() would make something else of a path with dots in it.
        expect((await raw(`${origin}/t/${bad}/${path}`)).status).toBe(403);
      }
    }
    const [stranger] = other.chunks;
    expect((await fetch(base + chunkFile(stranger?.name ?? ""))).status).toBe(403);
    expect((await fetch(base + manifestFile(other.digest))).status).toBe(403);
    const both = plane.base([image.digest, other.digest]);
    expect((await fetch(both + chunkFile(stranger?.name ?? ""))).status).toBe(200);
  });

  it("ends at the store: no path leads out of it", async () => {
    const name = first.name;
    for (const path of [
      "../../../etc/passwd",
      "manifests/../../secret",
      "chunks/../manifests/",
      `chunks/..%2f..%2f/${name}`,
      `chunks/zz/${name}`,
      `chunks/00/../${name.slice(0, 2)}/${name}`,
      `chunks/${name}`,
      "",
    ]) {
      expect((await raw(base + path)).status, path).toBe(404);
    }
    expect((await raw(new URL("/", base).href)).status).toBe(404);
    expect((await fetch(base + chunkFile(name), { method: "DELETE" })).status).toBe(405);
  });

  it("is never written down with its ticket", async () => {
    await fetch(`${base}none`);
    expect(plane.log.join("")).not.toContain(/\/t\/([^/]+)/.exec(base)?.[1]);
  });
});

describe("a connection", () => {
  it("answers what was asked at once in its order", async () => {
    const { host, hostname, port, pathname } = new URL(base);
    const asked = image.chunks.map(
      ({ name }) => `GET ${pathname}${chunkFile(name)} HTTP/1.1\r\nHost: ${host}\r\n`,
    );
    const socket = connect(Number(port), hostname);
    socket.write(
      asked.map((head, i) => `${head}${i === asked.length - 1 ? "Connection: close\r\n" : ""}\r\n`).join(""),
    );
    const answer = Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>));
    let at = 0;
    for (const { content } of image.chunks) {
      const body = answer.indexOf("\r\n\r\n", at) + 4;
      expect(answer.toString("latin1", at, at + 12)).toBe("HTTP/1.1 200");
      expect(Buffer.compare(answer.subarray(body, body + content.length), content)).toBe(0);
      at = body + content.length;
    }
    expect(at).toBe(answer.length);
  });

  it("that asks for much and reads nothing adds at most 2 MiB, and is cut after the deadline", async () => {
    const large = await storeImage(plane.directory, 32, 512 << 10);
    const { host, hostname, port, pathname } = new URL(plane.base([large.digest]));
    const asked = large.chunks.map(
      ({ name }) => `GET ${pathname}${chunkFile(name)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    );
    await bytesOf(await fetch(plane.base([large.digest]) + chunkFile(large.chunks[0]?.name ?? "")));
    const before = plane.memory();
    const sockets = Array.from({ length: 40 }, () => {
      const socket = connect(Number(port), hostname).pause();
      socket.on("error", () => {});
      socket.write(asked.join(""));
      return socket;
    });
    await delay(800);
    const added = (plane.memory() - before) / sockets.length;
    console.log(`a stalled connection adds ${added.toFixed(2)} MiB`);
    expect(added).toBeLessThan(2);
    await delay(1_000);
    const read = await Promise.all(sockets.map(bytesUntilCut));
    // What the kernel had taken in, and no more.
    expect(Math.max(...read)).toBeLessThan(asked.length * (512 << 10));
  });
});

/** Sends the path as it is. */
function raw(url: string): Promise<{ status: number; body: string }> {
  const [, hostname, port, path] = /^http:\/\/([^:]+):(\d+)(.*)$/.exec(url) ?? [];
  return new Promise((resolve, reject) => {
    httpRequest({ hostname, port, path }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    })
      .on("error", reject)
      .end();
  });
}

function bytesUntilCut(socket: ReturnType<typeof connect>): Promise<number> {
  return new Promise((resolve) => {
    let bytes = 0;
    socket.on("data", (data) => {
      bytes += data.length;
    });
    if (socket.closed) resolve(bytes);
    socket.on("close", () => resolve(bytes));
    socket.resume();
  });
}
