// The daemon's side of a session, for tests of the agent: stores logs, keeps what it hears, says what it is told.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import {
  AgentService,
  type Hello,
  type SessionRequest,
  type SessionResponseSchema,
  type StepLog,
  type StepResult,
} from "../proto/gen/muster/v1/agent_pb.ts";
import { MessageQueue } from "../proto/rpc/queue.ts";
import { serve } from "../proto/rpc/server.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";

type Answer = MessageInitShape<typeof SessionResponseSchema>["message"];

export class FakeDaemon {
  readonly hellos: Hello[] = [];
  readonly results: StepResult[] = [];
  readonly received: SessionRequest["message"][] = [];
  readonly logs = new Map<string, string>();
  /** How often bytes were missing before what came. */
  gaps = 0;
  /** Whether results and logs are acknowledged. */
  acknowledges = true;
  /** Whether heartbeats are. */
  answersBeats = true;
  leaseMs = 60_000;
  /** Of the client certificate of the last session. */
  commonName = "";
  refusal: RpcError | undefined;
  #answers: MessageQueue<MessageInitShape<typeof SessionResponseSchema>> | undefined;

  say(message: Answer): void {
    this.#answers?.push({ message });
  }

  assign(token: string, command: string, timeoutMs = 60_000, fence = 0n): void {
    const action = { kind: { case: "shell" as const, value: { command } } };
    const timeout = durationFromMs(timeoutMs);
    const step = `demo-1/n1/${token}`;
    this.say({ case: "assign", value: { token, step, attempt: 1, action, timeout, fence } });
  }

  cutSession(): void {
    this.#answers?.fail(new RpcError(codes.UNAVAILABLE, "the daemon goes away"));
  }

  /** Listens on a port of 127.0.0.1. */
  async listen(server: Server, credentials = ServerCredentials.createInsecure()): Promise<string> {
    serve(server, AgentService, {
      session: (requests, { commonName }) => {
        this.commonName = commonName;
        return this.#session(requests);
      },
      locateImage: async () => ({}),
      reportSource: async () => ({}),
      getSecret: async () => ({}),
      getTree: async () => ({}),
      getFile: async function* () {},
      putFetched: async () => ({}),
    });
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    return `127.0.0.1:${port}`;
  }

  async *#session(requests: AsyncIterable<SessionRequest>) {
    if (this.refusal) throw this.refusal;
    const answers = new MessageQueue<MessageInitShape<typeof SessionResponseSchema>>(1000);
    this.#answers = answers;
    const listen = async () => {
      for await (const { message } of requests) this.#hear(message);
    };
    listen().catch(() => {});
    yield* answers;
  }

  #hear(message: SessionRequest["message"]): void {
    this.received.push(message);
    if (message.case === "hello") {
      this.hellos.push(message.value);
      const lease = durationFromMs(this.leaseMs);
      this.say({ case: "welcome", value: { node: "n1", heartbeatInterval: durationFromMs(50), lease } });
      if (this.acknowledges) for (const { token } of message.value.finished) this.#acknowledge(token);
    } else if (message.case === "heartbeat") {
      if (this.answersBeats) this.say({ case: "heartbeatAck", value: {} });
    } else if (message.case === "log") this.#store(message.value);
    else if (message.case === "result") {
      this.results.push(message.value);
      if (this.acknowledges) this.#acknowledge(message.value.token);
    }
  }

  #acknowledge(token: string): void {
    this.say({ case: "resultAck", value: { token } });
  }

  #store({ token, offset, content }: StepLog): void {
    const stored = this.logs.get(token) ?? "";
    if (Number(offset) > stored.length) this.gaps++;
    this.logs.set(
      token,
      stored +
        Buffer.from(content)
          .subarray(stored.length - Number(offset))
          .toString(),
    );
    const end = BigInt(this.logs.get(token)?.length ?? 0);
    if (this.acknowledges) this.say({ case: "logAck", value: { token, offset: end } });
  }
}
