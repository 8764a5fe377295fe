// The TypeScript client as a program uses it, with daemons that go away and come back.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { codes, connect, RpcError } from "muster/client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openCa } from "../../daemon/drivers/ca.ts";
import { certificateRequest, IdentityStore } from "../../node-agent/identity.ts";
import { NodeService } from "../../proto/gen/muster/v1/node_pb.ts";
import { WatchRequest_Kind as Kind, WatchService } from "../../proto/gen/muster/v1/watch_pb.ts";
import { type Handlers, serve } from "../../proto/rpc/server.ts";
import { daemonTlsName } from "../../proto/rpc/wire.ts";
import { startTestDaemon } from "./daemon.ts";

let directory: string;
const servers: Server[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "muster-client-"));
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.forceShutdown();
  await rm(directory, { recursive: true, force: true });
});

type NodeHandlers = Handlers<typeof NodeService>;
type WatchHandlers = Handlers<typeof WatchService>;

/** A server with some handlers; the others are never called. */
async function serveSome(
  nodes: Partial<NodeHandlers>,
  watch: Partial<WatchHandlers> = {},
  at = { address: `unix:${join(directory, "socket")}`, credentials: ServerCredentials.createInsecure() },
): Promise<number> {
  const server = new Server();
  servers.push(server);
  serve(server, NodeService, nodes as NodeHandlers);
  serve(server, WatchService, watch as WatchHandlers);
  return new Promise((resolve, reject) => {
    server.bindAsync(at.address, at.credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

const here = () => connect({ socket: join(directory, "socket") });

describe("a call", () => {
  it("is made again while the daemon is not there, with the same request id", async () => {
    const ids: string[] = [];
    const answers = [codes.UNAVAILABLE, codes.UNAVAILABLE, undefined];
    await serveSome({
      updateNode: async ({ requestId }) => {
        ids.push(requestId);
        const code = answers[ids.length - 1];
        if (code !== undefined) throw new RpcError(code, "not now");
        return { node: { name: "n1" } };
      },
    });
    using muster = here();
    expect((await muster.nodes.updateNode({ node: { name: "n1" } })).node?.name).toBe("n1");
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
    await muster.nodes.updateNode({ node: { name: "n1" }, requestId: "mine" }).catch(() => {});
    expect(ids[3]).toBe("mine");
  });

  it.each([codes.ABORTED, codes.INTERNAL, codes.FAILED_PRECONDITION, codes.RESOURCE_EXHAUSTED])(
    "is not made again after code %i",
    async (code) => {
      let calls = 0;
      await serveSome({
        getNode: async () => {
          calls++;
          throw new RpcError(code, "no", { reason: "WHY" });
        },
      });
      using muster = here();
      await expect(muster.nodes.getNode({ name: "n1" })).rejects.toMatchObject({ code, reason: "WHY" });
      expect(calls).toBe(1);
    },
  );

  it("ends at its deadline, also when nobody is there, or when the caller gives up", async () => {
    using muster = here();
    const begin = Date.now();
    await expect(muster.nodes.getNode({ name: "n1" }, { timeoutMs: 700 })).rejects.toBeInstanceOf(RpcError);
    expect(Date.now() - begin).toBeLessThan(3_000);
    const giveUp = new AbortController();
    setTimeout(() => giveUp.abort(), 100);
    await expect(muster.nodes.getNode({ name: "n1" }, { signal: giveUp.signal })).rejects.toBeInstanceOf(
      RpcError,
    );
    expect(Date.now() - begin).toBeLessThan(5_000);
  });

  it("goes over TLS where an address and certificates are given", async () => {
    const ca = await openCa(join(directory, "pki"), [daemonTlsName], () => new Date());
    const key = await new IdentityStore(join(directory, "own")).key();
    const { certificate } = await ca.signNode(await certificateRequest(key), "operator");
    for (const [name, text] of [
      ["ca.pem", ca.caPem],
      ["cert.pem", certificate],
      ["key.pem", key],
    ] as const)
      await writeFile(join(directory, name), text);
    const pair = { private_key: Buffer.from(ca.serverKey), cert_chain: Buffer.from(ca.serverCert) };
    const mutual = ServerCredentials.createSsl(Buffer.from(ca.caPem), [pair], true);
    const at = { address: "127.0.0.1:0", credentials: mutual };
    const port = await serveSome(
      { getNode: async (_, { commonName }) => ({ node: { name: commonName } }) },
      {},
      at,
    );
    const [caFile, cert, keyFile] = ["ca.pem", "cert.pem", "key.pem"].map((name) => join(directory, name));
    using muster = connect({
      address: `127.0.0.1:${port}`,
      ca: caFile ?? "",
      cert: cert ?? "",
      key: keyFile ?? "",
    });
    expect((await muster.nodes.getNode({ name: "n1" })).node?.name).toBe("operator");
  });
});

describe("follow", () => {
  it("goes on by revision when the daemon was away", async () => {
    await using daemon = await startTestDaemon();
    const { nodes, follow } = daemon.muster;
    const seen: string[] = [];
    for await (const item of follow({ kinds: [Kind.NODE] })) {
      if (item.kind === "restart") seen.push("restart");
      else if (item.response.change.case === "snapshotEnd") {
        seen.push("snapshot");
        await nodes.updateNode({ node: { name: "n1", maintenanceReason: "one" } });
      } else if (item.response.change.case === "put" && item.response.change.value.kind.case === "node") {
        const { maintenanceReason } = item.response.change.value.kind.value;
        if (maintenanceReason) seen.push(maintenanceReason);
        if (maintenanceReason === "one") {
          await daemon.restart();
          await nodes.updateNode({ node: { name: "n1", maintenanceReason: "two" } });
        }
        if (maintenanceReason === "two") break;
      }
    }
    expect(seen).toEqual(["restart", "snapshot", "one", "two"]);
  });

  it("begins anew when the revision is no longer kept, and gives up on what does not pass", async () => {
    const asked: bigint[] = [];
    const watch: WatchHandlers["watch"] = async function* ({ startRevision }) {
      asked.push(startRevision);
      if (startRevision > 0n)
        throw new RpcError(codes.OUT_OF_RANGE, "gone", { reason: "REVISION_COMPACTED" });
      yield { revision: 9n, change: { case: "snapshotEnd", value: {} } };
      throw new RpcError(codes.PERMISSION_DENIED, "not you");
    };
    await serveSome({}, { watch });
    using muster = here();
    const items: string[] = [];
    const run = async () => {
      for await (const item of muster.follow({ startRevision: 5n })) items.push(item.kind);
    };
    await expect(run()).rejects.toMatchObject({ code: codes.PERMISSION_DENIED });
    expect(asked).toEqual([5n, 0n]);
    expect(items).toEqual(["restart", "change"]);
  });
});
