import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { download, forget } from "./download.ts";

type Behaviour = {
  content: Buffer;
  etag?: string;
  /** Of each answer, after which the connection is broken. */
  breakAfter?: number;
  ranges: boolean;
  status?: number;
  /** Answers with 503 after so many requests. */
  unwellAfter?: number;
};

let behaviour: Behaviour;
let requests: { range?: string; ifRange?: string; sent: number }[];
let server: Server;
let directory: string;
let url: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "download-"));
  behaviour = { content: randomBytes(3 << 20), etag: '"one"', ranges: true };
  requests = [];
  server = createServer(answer).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.img`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { content, etag, breakAfter, ranges, status } = behaviour;
  const range = request.headers.range;
  const ifRange = request.headers["if-range"] as string | undefined;
  const record = { ...(range && { range }), ...(ifRange && { ifRange }), sent: 0 };
  requests.push(record);
  if (status || requests.length > (behaviour.unwellAfter ?? Number.POSITIVE_INFINITY)) {
    response.writeHead(status ?? 503).end();
    return;
  }
  const isPart = ranges && range !== undefined && ifRange === etag;
  const from = isPart ? Number(/^bytes=(\d+)-$/.exec(range)?.[1]) : 0;
  const headers: Record<string, string | number> = { "content-length": content.length - from };
  if (etag) headers.etag = etag;
  if (isPart) headers["content-range"] = `bytes ${from}-${content.length - 1}/${content.length}`;
  response.writeHead(isPart ? 206 : 200, headers);
  const part = content.subarray(from, breakAfter === undefined ? content.length : from + breakAfter);
  record.sent = part.length;
  response.write(part, () => (from + part.length < content.length ? response.destroy() : response.end()));
}

const fetched = async (signal = new AbortController().signal) =>
  readFile(await download(url, { directory, signal, onProgress: () => {}, pauseMs: 1 }));

test("a file comes whole, and is forgotten when asked to", async () => {
  expect((await fetched()).equals(behaviour.content)).toBe(true);
  await forget(directory, url);
  expect(await readdir(directory)).toEqual([]);
});

test("a connection that breaks is gone on from, and nothing is sent twice", async () => {
  behaviour.breakAfter = 1 << 20;
  expect((await fetched()).equals(behaviour.content)).toBe(true);
  expect(requests.map(({ range }) => range)).toEqual([undefined, "bytes=1048576-", "bytes=2097152-"]);
  expect(requests.slice(1).every(({ ifRange }) => ifRange === '"one"')).toBe(true);
});

test("an interrupted download is gone on from by the next one", async () => {
  behaviour.breakAfter = 1 << 20;
  const interruption = new AbortController();
  const first = download(url, {
    directory,
    signal: interruption.signal,
    onProgress: (done) => done > 0 && interruption.abort(new Error("interrupted by SIGINT")),
    pauseMs: 400,
  });
  await expect(first).rejects.toThrow("interrupted by SIGINT");
  requests = [];
  behaviour.breakAfter = 5 << 20;
  expect((await fetched()).equals(behaviour.content)).toBe(true);
  expect(requests[0]?.range).toMatch(/^bytes=[1-9]\d*-$/);
});

test("a file that was complete is not fetched again", async () => {
  await fetched();
  requests = [];
  expect((await fetched()).equals(behaviour.content)).toBe(true);
  expect(requests).toEqual([]);
});

for (const [what, change] of [
  ["has another file now", { etag: '"two"' }],
  ["does not send parts", { ranges: false }],
  ["does not say which file it is", { etag: undefined }],
] as const) {
  test(`nothing old is used when the server ${what}`, async () => {
    behaviour.breakAfter = 1 << 20;
    behaviour.status = undefined;
    const interruption = new AbortController();
    const first = download(url, {
      directory,
      signal: interruption.signal,
      onProgress: (done) => done > 0 && interruption.abort(new Error("stop")),
      pauseMs: 400,
    });
    await expect(first).rejects.toThrow("stop");
    Object.assign(behaviour, { content: randomBytes(3 << 20), breakAfter: undefined }, change);
    expect((await fetched()).equals(behaviour.content)).toBe(true);
  });
}

test("a server that says no is asked once, one that is unwell several times; the message says what is kept", async () => {
  behaviour.status = 404;
  await expect(fetched()).rejects.toThrow(/disk.img could not be fetched: curl failed: .*404/);
  expect(requests.length).toBe(1);
  behaviour.status = 503;
  await expect(fetched()).rejects.toThrow(/503/);
  expect(requests.length).toBe(6);
  behaviour.status = undefined;
  behaviour.breakAfter = 1 << 20;
  const { content } = behaviour;
  behaviour.unwellAfter = 8;
  await expect(fetched()).rejects.toThrow(/503; 2097152 bytes are kept, the next import goes on from there/);
  behaviour.unwellAfter = undefined;
  expect((await fetched()).equals(content)).toBe(true);
});
