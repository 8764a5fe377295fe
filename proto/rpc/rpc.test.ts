import { credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { AgentService } from "../gen/muster/v1/agent_pb.ts";
import { NodeService } from "../gen/muster/v1/node_pb.ts";
import { Connection } from "./client.ts";
import { type Handlers, serve } from "./server.ts";
import { codes, RpcError } from "./status.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

const refuse = async (): Promise<never> => {
  throw new RpcError(codes.UNIMPLEMENTED, "not in this test");
};

async function connect(
  node: Partial<Handlers<typeof NodeService>>,
  agent: Partial<Handlers<typeof AgentService>>,
) {
  const server = new Server();
  serve(server, NodeService, {
    listNodes: refuse,
    getNode: refuse,
    approveNode: refuse,
    setNodePower: refuse,
    ...node,
  });
  serve(server, AgentService, {
    session: async function* () {},
    fetchChunks: async function* () {},
    getImageManifest: refuse,
    ...agent,
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const connection = new Connection(`127.0.0.1:${port}`, credentials.createInsecure());
  cleanups.push(
    () => server.forceShutdown(),
    () => connection[Symbol.dispose](),
  );
  return { nodes: connection.client(NodeService), agent: connection.client(AgentService) };
}

describe("rpc runtime", () => {
  it("answers a unary call from a plain object", async () => {
    const { nodes } = await connect({ getNode: async ({ name }) => ({ node: { name, online: true } }) }, {});
    const { node } = await nodes.getNode({ name: "n1" });
    expect(node).toMatchObject({ name: "n1", online: true });
  });

  it("carries code, reason, metadata, fields and violations of an error", async () => {
    const { nodes } = await connect(
      {
        getNode: async () => {
          throw new RpcError(codes.FAILED_PRECONDITION, "n1 has no disk", {
            reason: "NO_DISK",
            metadata: { node: "n1" },
            fields: [{ field: "name", description: "is wrong" }],
            violations: [{ type: "DISK", subject: "n1", description: "none matches" }],
          });
        },
      },
      {},
    );
    const error = await nodes.getNode({ name: "n1" }).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: codes.FAILED_PRECONDITION,
      message: "n1 has no disk",
      reason: "NO_DISK",
      metadata: { node: "n1" },
      fields: [{ field: "name", description: "is wrong" }],
      violations: [{ type: "DISK", subject: "n1", description: "none matches" }],
    });
  });

  it("ends a unary call at its deadline", async () => {
    const { nodes } = await connect({ getNode: () => new Promise(() => {}) }, {});
    await expect(nodes.getNode({ name: "n1" }, { timeoutMs: 50 })).rejects.toMatchObject({
      code: codes.DEADLINE_EXCEEDED,
    });
  });

  it("tells a streaming handler when the client has left its loop", async () => {
    const aborted = Promise.withResolvers<void>();
    const { agent } = await connect(
      {},
      {
        fetchChunks: async function* (_, { signal }) {
          signal.addEventListener("abort", () => aborted.resolve());
          for (let index = 0; !signal.aborted; index++) yield { index };
        },
      },
    );
    for await (const { index } of agent.fetchChunks({ digest: "" })) if (index === 3) break;
    await aborted.promise;
  });

  it("holds a fast handler back to the pace of a slow reader", async () => {
    let produced = 0;
    const { agent } = await connect(
      {},
      {
        fetchChunks: async function* () {
          const content = new Uint8Array(64 << 10);
          for (let index = 0; index < 1000; index++) {
            produced++;
            yield { index, content };
          }
        },
      },
    );
    for await (const { index } of agent.fetchChunks({ digest: "" })) {
      if (index > 0) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(produced).toBeLessThan(100);
    }
  });

  it("sends the status of a bidi call after the client has half-closed", async () => {
    const { agent } = await connect(
      {},
      {
        session: async function* (requests) {
          for await (const { message } of requests) {
            yield { message: { case: "resultAck", value: { token: message.case ?? "" } } };
          }
          throw new RpcError(codes.ABORTED, "a newer session took over");
        },
      },
    );
    const seen: string[] = [];
    const run = async () => {
      const requests = (async function* () {
        yield { message: { case: "heartbeat" as const, value: {} } };
      })();
      for await (const { message } of agent.session(requests)) {
        if (message.case === "resultAck") seen.push(message.value.token);
      }
    };
    await expect(run()).rejects.toMatchObject({ code: codes.ABORTED });
    expect(seen).toEqual(["heartbeat"]);
  });
});
