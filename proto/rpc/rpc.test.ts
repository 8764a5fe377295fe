import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { AgentService } from "../gen/muster/v1/agent_pb.ts";
import { DeliveryService } from "../gen/muster/v1/delivery_pb.ts";
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

async function* refuseStream(): AsyncGenerator<never> {
  yield await refuse();
}

async function connect(
  node: Partial<Handlers<typeof NodeService>>,
  agent: Partial<Handlers<typeof AgentService>>,
  delivery: Partial<Handlers<typeof DeliveryService>> = {},
) {
  const server = new Server();
  serve(server, NodeService, {
    listNodes: refuse,
    getNode: refuse,
    approveNode: refuse,
    setNodePower: refuse,
    updateNode: refuse,
    deleteNode: refuse,
    ...node,
  });
  serve(server, AgentService, {
    session: async function* () {},
    getSecret: refuse,
    getTree: refuse,
    getFile: refuseStream,
    putFetched: refuse,
    locateImage: refuse,
    reportSource: refuse,
    ...agent,
  });
  serve(server, DeliveryService, { getManifest: refuse, fetchChunks: async function* () {}, ...delivery });
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
  return {
    nodes: connection.client(NodeService),
    agent: connection.client(AgentService),
    delivery: connection.client(DeliveryService),
    port,
  };
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

  it("tells an error that is too long for the trailers in part", async () => {
    const long = "\u00e9".repeat(100_000);
    const violations = Array.from({ length: 5_000 }, (_, i) => ({
      type: "T",
      subject: `n${i}`,
      description: long,
    }));
    const fields = violations.map(({ subject }) => ({ field: subject, description: long }));
    const { nodes } = await connect(
      {
        getNode: async () => {
          throw new RpcError(codes.NOT_FOUND, long, {
            reason: "LONG",
            metadata: { name: long },
            fields,
            violations,
          });
        },
      },
      {},
    );
    const error = RpcError.from(await nodes.getNode({ name: "n1" }).catch((e: unknown) => e));
    expect(error).toMatchObject({ code: codes.NOT_FOUND, reason: "LONG" });
    expect(error.message).toMatch(/^\u00e9+ \.\.\.$/);
    expect(error.violations[0]).toMatchObject({ subject: "n0" });
    expect(error.violations.at(-1)?.description).toBe(`and ${5_001 - error.violations.length} more`);
    expect(error.fields.at(-1)?.description).toMatch(/^and \d+ more$/);
  });

  it("ends a unary call at its deadline", async () => {
    const { nodes } = await connect({ getNode: () => new Promise(() => {}) }, {});
    await expect(nodes.getNode({ name: "n1" }, { timeoutMs: 50 })).rejects.toMatchObject({
      code: codes.DEADLINE_EXCEEDED,
    });
  });

  it("tells a streaming handler when the client has left its loop", async () => {
    const aborted = Promise.withResolvers<void>();
    const { delivery } = await connect(
      {},
      {},
      {
        fetchChunks: async function* (_, { signal }) {
          signal.addEventListener("abort", () => aborted.resolve());
          for (let index = 0; !signal.aborted; index++) yield { index };
        },
      },
    );
    for await (const { index } of delivery.fetchChunks({ digest: "" })) if (index === 3) break;
    await aborted.promise;
  });

  it("holds a fast handler back to the pace of a slow reader", async () => {
    let produced = 0;
    const { delivery } = await connect(
      {},
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
    for await (const { index } of delivery.fetchChunks({ digest: "" })) {
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

  it("refuses bytes that are no request, and does not ask the handler", async () => {
    let asked = 0;
    const { port } = await connect(
      { getNode: async () => ({ node: { name: `${++asked}` } }) },
      {
        session: async function* (requests) {
          try {
            for await (const _ of requests) asked++;
          } catch {
            // A handler may take it for the end.
          }
          yield { message: { case: "heartbeatAck", value: {} } };
        },
      },
    );
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    cleanups.push(() => client.close());
    const [same, noise] = [(bytes: Buffer) => bytes, Buffer.from([0xff, 0xff])];
    const unary = await new Promise((resolve) => {
      client.makeUnaryRequest("/muster.v1.NodeService/GetNode", same, same, noise, (error) => resolve(error));
    });
    const bidi = await new Promise((resolve) => {
      const call = client.makeBidiStreamRequest("/muster.v1.AgentService/Session", same, same);
      call.on("error", resolve);
      call.resume().end(noise);
    });
    for (const error of [unary, bidi]) {
      expect(RpcError.from(error)).toMatchObject({ code: codes.INVALID_ARGUMENT, reason: "UNDECODABLE" });
    }
    expect(asked).toBe(0);
  });
});
