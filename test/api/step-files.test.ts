// Files between the daemon's store and running attempts: who is given a tree, what a fetch may bring. The agent's
// end is the real one, so what comes is what was stored.
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { agentService } from "../../daemon/api/agents.ts";
import { planStep } from "../../daemon/domain/planned.ts";
import { FetchedFiles } from "../../daemon/drivers/fetched-files.ts";
import { FileStore } from "../../daemon/drivers/file-store.ts";
import { World } from "../../daemon/engine/deployment-world.ts";
import { ProgressBoard } from "../../daemon/engine/progress.ts";
import { Sessions } from "../../daemon/engine/sessions.ts";
import { FileCache } from "../../node-agent/file-cache.ts";
import { remoteFiles } from "../../node-agent/files.ts";
import { packedTree } from "../../proto/files/tree.ts";
import {
  GetFileRequestSchema,
  GetTreeRequestSchema,
  PutFetchedRequestSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { PlanSchema, Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TreeSchema } from "../../proto/gen/muster/v1/files_pb.ts";
import { StepInputsSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { codes } from "../../proto/rpc/status.ts";

const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");
const token = (node: string, task: string, attempt = 1) => `demo-1/${node}/${task}/${attempt}`;
const big = Buffer.alloc(2_500_000, "muster ");
const content = "configuration\n";
const tree = create(TreeSchema, {
  entries: [
    {
      path: "big",
      mode: 0o600,
      kind: { case: "file", value: { digest: sha256(big), sizeBytes: 2_500_000n } },
    },
    { path: "etc", mode: 0o755, kind: { case: "directory", value: {} } },
    {
      path: "etc/a",
      mode: 0o644,
      kind: { case: "file", value: { digest: sha256(content), sizeBytes: 14n } },
    },
  ],
});
const { digest } = packedTree(tree);
const signal = new AbortController().signal;

let state: string;
let world: World;
let files: FileStore;
let fetched: FetchedFiles;

/** n1 brings the tree to its disk and n2 fetches a file; both run. */
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "muster-files-"));
  files = new FileStore(join(state, "files"), () => world.nowMs);
  fetched = await FetchedFiles.open(join(state, "fetched"), () => {});
  world = await World.start([]);
  for (const name of ["n1", "n2"]) await world.declare(name);
  await world.start(plan);
  for (const name of ["n1", "n2"]) await world.installed(name, `boot-${name}`);
  await files.put(sha256(big), 0n, big, true);
  await files.put(sha256(content), 0n, Buffer.from(content), true);
  await files.putTree(tree);
});
afterEach(() => rm(state, { recursive: true, force: true }));

const timeout = { seconds: 600n };
const plan = create(PlanSchema, {
  cluster: "demo",
  purpose: Purpose.DEPLOY,
  nodes: [{ node: "n1" }, { node: "n2" }],
  steps: [
    {
      ...planStep({
        node: "n1",
        task: "files",
        timeout,
        action: { kind: { case: "sync", value: { source: "tree", path: "/etc/tree" } } },
      }),
      inputs: create(StepInputsSchema, { sources: { tree: digest } }),
    },
    planStep({
      node: "n2",
      task: "bring",
      timeout,
      action: { kind: { case: "fetch", value: { path: "/etc/ring", limit: 3_000_000n } } },
    }),
  ],
});

/** The service as the agent of a node sees it. */
function agentOf(node: string) {
  const none = () => Promise.reject(new Error("not in this test"));
  const service = agentService(
    {
      engine: world.engine,
      sessions: new Sessions(),
      progress: new ProgressBoard(),
      hub: { progress: () => {} },
      logs: { append: none },
      images: { signed: none },
      admit: () => ({ ticket: "", grpcAddress: "", httpAddress: "" }),
      secrets: { open: () => new Uint8Array() },
      files,
      fetched,
      log: pino({ level: "silent" }),
      clock: () => world.nowMs,
    },
    { keyDigestOf: () => "k" },
  );
  const call = { signal, peer: "", commonName: node, certificate: new Uint8Array() };
  return {
    getTree: async (request: object) => {
      const answer = await service.getTree(create(GetTreeRequestSchema, request), call);
      return { $typeName: "muster.v1.GetTreeResponse" as const, tree: create(TreeSchema, answer.tree) };
    },
    getFile: async function* (request: object) {
      for await (const piece of service.getFile(create(GetFileRequestSchema, request), call)) {
        yield {
          $typeName: "muster.v1.GetFileResponse" as const,
          content: piece.content ?? new Uint8Array(),
        };
      }
    },
    putFetched: async (request: object) => {
      await service.putFetched(create(PutFetchedRequestSchema, request), call);
      return { $typeName: "muster.v1.PutFetchedResponse" as const };
    },
  };
}

function sourceOf(node: string, attempt: string) {
  return remoteFiles(agentOf(node), new FileCache(join(state, `cache-${node}`)))(attempt);
}

async function all(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const read: Uint8Array[] = [];
  for await (const piece of pieces) read.push(piece);
  return Buffer.concat(read);
}

describe("a tree", () => {
  it("is given whole to the attempt whose plan names it, and files of it from an offset on", async () => {
    const source = sourceOf("n1", token("n1", "files"));
    expect((await source.tree(digest, signal)).entries.map(({ path }) => path)).toEqual([
      "big",
      "etc",
      "etc/a",
    ]);
    expect((await all(source.read(digest, sha256(big), signal))).equals(big)).toBe(true);
    expect(`${await all(source.read(digest, sha256(content), signal))}`).toBe(content);
    const rest = agentOf("n1").getFile({
      token: token("n1", "files"),
      tree: digest,
      digest: sha256(content),
      offset: 7n,
    });
    const pieces: Uint8Array[] = [];
    for await (const piece of rest) pieces.push(piece.content);
    expect(`${Buffer.concat(pieces)}`).toBe("ration\n");
  });

  it("comes once, and again when what lies in the cache is damaged", async () => {
    const source = sourceOf("n1", token("n1", "files"));
    await all(source.read(digest, sha256(content), signal));
    await rm(join(state, "files", sha256(content).slice(0, 2), sha256(content)));
    expect(`${await all(source.read(digest, sha256(content), signal))}`).toBe(content);
    await writeFile(join(state, "cache-n1", sha256(content)), "something else");
    await expect(all(source.read(digest, sha256(content), signal))).rejects.toMatchObject({
      code: codes.NOT_FOUND,
    });
    await files.put(sha256(content), 0n, Buffer.from(content), true);
    expect(`${await all(source.read(digest, sha256(content), signal))}`).toBe(content);
  });

  it.each<[string, string, string, string]>([
    ["another node", "n2", token("n1", "files"), digest],
    ["another attempt", "n1", token("n1", "files", 2), digest],
    ["a step that names none", "n2", token("n2", "bring"), digest],
    ["a tree that its step does not name", "n1", token("n1", "files"), sha256(content)],
  ])("is not given to %s", async (_, node, attempt, asked) => {
    await expect(agentOf(node).getTree({ token: attempt, digest: asked })).rejects.toMatchObject({
      code: codes.PERMISSION_DENIED,
      reason: "TREE_DENIED",
    });
  });

  it("gives no file that is not in it", async () => {
    await files.put(sha256("other"), 0n, Buffer.from("other"), true);
    const source = sourceOf("n1", token("n1", "files"));
    await expect(all(source.read(digest, sha256("other"), signal))).rejects.toMatchObject({
      reason: "TREE_DENIED",
    });
  });

  it("that is damaged is said as that", async () => {
    await writeFile(join(state, "files", digest.slice(0, 2), digest), "damaged");
    // What was read before is held in memory.
    files = new FileStore(join(state, "files"), () => world.nowMs);
    await expect(agentOf("n1").getTree({ token: token("n1", "files"), digest })).rejects.toMatchObject({
      code: codes.DATA_LOSS,
      reason: "TREE_DAMAGED",
    });
  });
});

describe("a fetched file", () => {
  it("is kept whole with its record, which outlives the daemon", async () => {
    const put = () => sourceOf("n2", token("n2", "bring")).put(inPieces(big), signal);
    expect(await put()).toEqual({ size: big.length, digest: sha256(big) });
    const known = (await FetchedFiles.open(join(state, "fetched"), () => {})).get("n2/etc/ring");
    expect(known).toMatchObject({
      node: "n2",
      path: "/etc/ring",
      sizeBytes: BigInt(big.length),
      digest: sha256(big),
      step: "demo-1/n2/bring",
    });
    expect((await all(files.read(sha256(big)))).equals(big)).toBe(true);
  });

  it("may be empty, and its last piece may be sent twice", async () => {
    const last = {
      token: token("n2", "bring"),
      offset: 3n,
      content: Buffer.from("def"),
      digest: sha256("abcdef"),
    };
    await agentOf("n2").putFetched({ ...last, offset: 0n, content: Buffer.from("abc"), digest: "" });
    await agentOf("n2").putFetched(last);
    await agentOf("n2").putFetched(last);
    expect(`${await all(files.read(sha256("abcdef")))}`).toBe("abcdef");
    expect(await sourceOf("n2", token("n2", "bring")).put(inPieces(Buffer.of()), signal)).toEqual({
      size: 0,
      digest: sha256(""),
    });
    expect(fetched.get("n2/etc/ring")?.sizeBytes).toBe(0n);
  });

  it.each<[string, string, object]>([
    ["no fetch", "FETCH_DENIED", { token: token("n1", "files"), content: Buffer.from("x") }],
    ["a gap", "GAP", { token: token("n2", "bring"), offset: 5n, content: Buffer.from("x") }],
    [
      "other bytes",
      "DIGEST_MISMATCH",
      { token: token("n2", "bring"), content: Buffer.from("x"), digest: digest },
    ],
    ["too much", "TOO_LARGE", { token: token("n2", "bring"), content: Buffer.alloc(3_000_001) }],
  ])("is refused for %s: %s", async (_, reason, request) => {
    const node = reason === "FETCH_DENIED" ? "n1" : "n2";
    await expect(agentOf(node).putFetched(request)).rejects.toMatchObject({ reason });
    expect(fetched.all()).toEqual([]);
  });
});

describe("collecting", () => {
  const day = 24 * 60 * 60_000;

  it("forgets after a day what nobody needs, and nothing else", async () => {
    await files.put(sha256("old"), 0n, Buffer.from("old"), true);
    await files.put(sha256("half"), 0n, Buffer.from("ha"), false);
    await files.put(sha256("kept"), 0n, Buffer.from("kept"), true);
    expect(await files.collect([digest], [sha256("kept")])).toBe(0);
    // Files have the time of this machine, where they are new.
    world.nowMs = Date.now() + day + 60_000;
    await files.put(sha256("new"), 0n, Buffer.from("new"), true);
    expect(await files.collect([digest], [sha256("kept")])).toBe(1);
    expect(await files.missing(["old", "kept", "new", content].map(sha256))).toEqual([sha256("old")]);
    expect(await readdir(join(state, "files/incoming"))).toEqual([]);
  });

  it("forgets nothing while a tree that is needed cannot be read", async () => {
    world.nowMs = Date.now() + day + 60_000;
    await writeFile(join(state, "files", digest.slice(0, 2), digest), "damaged");
    files = new FileStore(join(state, "files"), () => world.nowMs);
    await expect(files.collect([digest], [])).rejects.toMatchObject({ reason: "TREE_DAMAGED" });
    expect(await files.missing([sha256(content)])).toEqual([]);
  });
});

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 70_000) yield bytes.subarray(at, at + 70_000);
}
