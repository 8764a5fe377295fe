// AgentService: sessions, and the chunks of images.
import { createHash, X509Certificate } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AgentService,
  type SessionRequest,
  type SessionResponse,
  SessionResponseSchema,
  type StepProgress,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import type { CallContext, Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { gone, hello, inventory, result } from "../domain/report.ts";
import type { Session } from "../engine/sessions.ts";
import { type ApiContext, notFound } from "./context.ts";

const heartbeatSeconds = 5n;
/** Three heartbeats missed: the session is dead, whatever TCP says. */
const silenceMs = 16_000;

export function agentService(context: ApiContext): Handlers<typeof AgentService> {
  const { engine, images, sessions } = context;
  return {
    session: async function* (requests, call) {
      const name = authenticate(engine.state.nodes.get(call.commonName), call);
      const session = sessions.open(name);
      const unwatch = readSession(context, session, requests);
      const stop = () => session.queue.close();
      call.signal.addEventListener("abort", stop);
      try {
        yield welcome(name, context.clock());
        yield* session.queue;
      } finally {
        call.signal.removeEventListener("abort", stop);
        unwatch();
        if (sessions.close(session))
          await engine.decide((decision) => withNode(decision.state, name, (node) => gone(decision, node)));
      }
    },
    getImageManifest: async ({ digest }, call) => {
      authenticate(engine.state.nodes.get(call.commonName), call);
      const manifest = await images.signed(digest);
      if (!manifest) throw notFound("image", digest);
      return { manifest };
    },
    fetchChunks: async function* ({ digest, indexes }, call) {
      authenticate(engine.state.nodes.get(call.commonName), call);
      const manifest = await images.manifest(digest);
      if (!manifest) throw notFound("image", digest);
      for (const index of indexes) {
        const chunk = manifest.chunks[index];
        if (!chunk) throw notFound(`chunk ${index} of image`, digest);
        yield { index, content: await images.chunk(chunk.storedDigest).catch(missingChunk) };
      }
    },
  };
}

function missingChunk(cause: unknown): never {
  const why = cause instanceof Error ? cause.message : String(cause);
  throw new RpcError(codes.DATA_LOSS, `the image store is damaged: ${why}; run \`muster image repair\``, {
    cause,
  });
}

/** The certificate names the node; its key must be the one that was approved. */
function authenticate(node: Node | undefined, { commonName, certificate }: CallContext): string {
  if (!node)
    throw new RpcError(codes.UNAUTHENTICATED, `${commonName || "the agent"} is not a node here: join again`);
  const spki = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
  const digest = createHash("sha256").update(spki).digest("hex");
  if (digest !== node.keyDigest) {
    throw new RpcError(
      codes.UNAUTHENTICATED,
      `the key of ${node.name} is no longer the approved one: join again`,
    );
  }
  return node.name;
}

function welcome(node: string, nowMs: number): SessionResponse {
  const value = { node, heartbeatInterval: { seconds: heartbeatSeconds }, clock: timestampFromMs(nowMs) };
  return create(SessionResponseSchema, { message: { case: "welcome", value } });
}

/** Takes what the agent says; a silent agent ends its session. Returns what stops the watch over it. */
function readSession(
  context: ApiContext,
  session: Session,
  requests: AsyncIterable<SessionRequest>,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => session.queue.close(), silenceMs);
  };
  const read = async () => {
    alive();
    for await (const { message } of requests) {
      if (session.queue.closed) return;
      alive();
      await take(context, session, message);
    }
  };
  read()
    .catch((error: unknown) =>
      context.log.warn({ node: session.node, error: String(error) }, "session ended"),
    )
    .finally(() => session.queue.close());
  return () => clearTimeout(timer);
}

async function take(
  context: ApiContext,
  { node: name, queue }: Session,
  message: SessionRequest["message"],
): Promise<void> {
  const { engine, logs } = context;
  switch (message.case) {
    case "hello":
      return engine.decide((decision) =>
        withNode(decision.state, name, (node) => hello(decision, node, message.value)),
      );
    case "inventory":
      return engine.decide((decision) =>
        withNode(decision.state, name, (node) => inventory(decision, node, message.value)),
      );
    case "progress":
      return report(context, name, message.value);
    case "log": {
      const { token, offset, content } = message.value;
      if (ownStep(context, name, token) === undefined) return;
      const stored = await logs.append(token, offset, content);
      queue.push(
        create(SessionResponseSchema, { message: { case: "logAck", value: { token, offset: stored } } }),
      );
      return;
    }
    case "result": {
      const { token } = message.value;
      const step = ownStep(context, name, token);
      const progress = step === undefined ? undefined : context.progress.take(step, token);
      return engine.decide((decision) => {
        const running = step === undefined ? undefined : decision.state.step(step);
        if (running?.token === token && progress) decision.step(running, { progress });
        result(decision, name, message.value);
      });
    }
  }
}

function report({ hub, progress, clock, ...context }: ApiContext, node: string, value: StepProgress): void {
  const step = ownStep(context, node, value.token);
  if (step !== undefined) hub.progress(progress.report(step, value, clock()));
}

/** The step of a token, if it is of that node: an agent speaks for itself only. */
function ownStep({ engine }: Pick<ApiContext, "engine">, node: string, token: string): string | undefined {
  const step = engine.state.step(token.slice(0, token.lastIndexOf("/")));
  return step?.node === node ? step.name : undefined;
}

function withNode(state: { nodes: Map<string, Node> }, name: string, work: (node: Node) => void): void {
  const node = state.nodes.get(name);
  if (node) work(node);
}
