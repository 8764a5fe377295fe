// The agent's end of files: a daemon that goes away, one that sends something else, and a cache that stays small.
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, it } from "vitest";
import { packedTree } from "../proto/files/tree.ts";
import type { GetFileRequestSchema, PutFetchedRequestSchema } from "../proto/gen/muster/v1/agent_pb.ts";
import { TreeSchema } from "../proto/gen/muster/v1/files_pb.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { FileCache } from "./file-cache.ts";
import { remoteFiles } from "./files.ts";
import { sha256 } from "./steps/files-fixture.ts";

type GetFile = MessageInitShape<typeof GetFileRequestSchema>;
type PutFetched = MessageInitShape<typeof PutFetchedRequestSchema>;

let dir: string;
let asked: GetFile[];
let sent: PutFetched[];
/** What the daemon does with each call in turn; when there is nothing more it answers. */
let turns: (() => void)[];
const signal = new AbortController().signal;
const away = () => {
  throw new RpcError(codes.UNAVAILABLE, "the daemon is away");
};
const denied = () => {
  throw new RpcError(codes.PERMISSION_DENIED, "not yours");
};
const fine = () => {};
const tree = create(TreeSchema, {
  entries: [{ path: "a", mode: 0o755, kind: { case: "directory", value: {} } }],
});

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "muster-cache-"));
  asked = [];
  sent = [];
  turns = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A daemon that has one file. */
function files(content: string, { limit = 1000, patience = 10_000 } = {}) {
  const client = {
    getTree: async () => {
      turns.shift()?.();
      return { $typeName: "muster.v1.GetTreeResponse" as const, tree };
    },
    getFile: async function* (request: GetFile) {
      asked.push(request);
      for (let at = Number(request.offset); at < content.length; at += 4) {
        turns.shift()?.();
        const piece = Buffer.from(content.slice(at, at + 4));
        yield { $typeName: "muster.v1.GetFileResponse" as const, content: new Uint8Array(piece) };
      }
    },
    putFetched: async (request: PutFetched) => {
      turns.shift()?.();
      sent.push(request);
      return { $typeName: "muster.v1.PutFetchedResponse" as const };
    },
  };
  return remoteFiles(client, new FileCache(dir, limit), patience)("demo-1/n1/task/1");
}

async function read(source: ReturnType<typeof files>, digest: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source.read("t", digest, signal)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

it("goes on where it broke off when the daemon is back", async () => {
  turns = [fine, fine, away];
  expect(await read(files("hello world!"), sha256("hello world!"))).toBe("hello world!");
  expect(asked.map(({ offset }) => offset)).toEqual([0n, 8n]);
});

it("goes on after a restart of the agent with what had come", async () => {
  writeFileSync(join(dir, `${sha256("hello world!")}.part`), "hello ");
  expect(await read(files("hello world!"), sha256("hello world!"))).toBe("hello world!");
  expect(asked.map(({ offset }) => offset)).toEqual([6n]);
});

it("begins anew once when what had come was wrong, and refuses what is wrong from the beginning", async () => {
  writeFileSync(join(dir, `${sha256("hello")}.part`), "wro");
  expect(await read(files("hello"), sha256("hello"))).toBe("hello");
  expect(asked.map(({ offset }) => offset)).toEqual([3n, 0n]);
  await expect(read(files("another"), sha256("one"))).rejects.toThrow(/the daemon sent something else/);
  expect(readdirSync(dir)).toEqual([sha256("hello")]);
});

it("does not ask again after a refusal, nor when it has been away for too long", async () => {
  turns = [denied];
  await expect(read(files("hello"), sha256("hello"))).rejects.toMatchObject({
    code: codes.PERMISSION_DENIED,
  });
  turns = [away, away, away, away, away];
  await expect(read(files("hello", { patience: 0 }), sha256("hello"))).rejects.toThrow("the daemon is away");
});

it("asks once for what several want at once, and not at all for what it has", async () => {
  const source = files("hello");
  const both = [read(source, sha256("hello")), read(source, sha256("hello"))];
  expect(await Promise.all(both)).toEqual(["hello", "hello"]);
  expect(await read(files("hello"), sha256("hello"))).toBe("hello");
  expect(asked).toHaveLength(1);
});

it("forgets what was used longest ago when there is too much", async () => {
  const limit = 12;
  for (const [index, text] of ["aaaaa", "bbbbb", "ccccc"].entries()) {
    await read(files(text, { limit }), sha256(text));
    utimesSync(join(dir, sha256(text)), index, index);
    // It has been used since.
    if (text === "bbbbb") await read(files("aaaaa", { limit }), sha256("aaaaa"));
  }
  expect(readdirSync(dir).sort()).toEqual([sha256("aaaaa"), sha256("ccccc")].sort());
  // One that is larger than all that is kept is there until the next.
  await read(files("larger than the limit", { limit }), sha256("larger than the limit"));
  expect(readdirSync(dir)).toEqual([sha256("larger than the limit")]);
});

it("has the tree that was asked for, or none", async () => {
  const { digest } = packedTree(tree);
  turns = [away];
  expect(await files("").tree(digest, signal)).toMatchObject({ entries: [{ path: "a" }] });
  turns = [denied];
  expect(await files("").tree(digest, signal)).toMatchObject({ entries: [{ path: "a" }] });
  await expect(files("").tree(sha256("x"), signal)).rejects.toMatchObject({ code: codes.PERMISSION_DENIED });
  await expect(files("").tree(sha256("x"), signal)).rejects.toThrow(/something else/);
});

it("sends a file in pieces, the last one with the digest, and again what was lost", async () => {
  const whole = Buffer.alloc((2 << 20) + 5, "x");
  turns = [fine, away];
  const pieces = async function* () {
    for (let at = 0; at < whole.length; at += 700_000) yield whole.subarray(at, at + 700_000);
  };
  expect(await files("").put(pieces(), signal)).toEqual({ size: whole.length, digest: sha256(whole) });
  expect(sent.map(({ offset, content, digest }) => [offset, content?.length, digest])).toEqual([
    [0n, 1 << 20, ""],
    [BigInt(1 << 20), 1 << 20, ""],
    [BigInt(2 << 20), 5, sha256(whole)],
  ]);
});

it("sees that a step was cancelled", async () => {
  turns = [away, away, away];
  const cancelled = AbortSignal.timeout(50);
  const reading = files("hello").read("t", sha256("hello"), cancelled);
  await expect(reading[Symbol.asyncIterator]().next()).rejects.toThrow();
  expect(readFileSync(join(dir, `${sha256("hello")}.part`), "utf8")).toBe("");
});
