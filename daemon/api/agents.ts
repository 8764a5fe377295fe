// AgentService: sessions, where images are, secrets and files.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type AgentService,
  type SessionRequest,
  type SessionResponse,
  SessionResponseSchema,
  type StepLog,
  type StepProgress,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { QueueOverflowError } from "../../proto/rpc/queue.ts";
import type { CallContext, Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Decision } from "../domain/decision.ts";
import { gone, heard, hello, inventory, late, result } from "../domain/report.ts";
import type { Session } from "../engine/sessions.ts";
import { keyDigestOf as certificateKeyDigest } from "./certificate-key.ts";
import type { ApiContext } from "./context.ts";
import { type DeliveryContext, ImageSources } from "./delivery.ts";
import { Liveness } from "./liveness.ts";
import { handOutSecret } from "./secrets.ts";
import { handOutFile, handOutTree, type StepFilesContext, takeFetched } from "./step-files.ts";

const heartbeatSeconds = 5n;
/** Three heartbeats missed: it is late. */
const lateMs = 16_000;
/** Nothing after that: the session is dead, whatever TCP says. */
const goneMs = 45_000;
/** Shorter than the daemon's own patience: an agent that is given up starts nothing any more. */
const leaseSeconds = 40n;

export type AgentsContext = Pick<ApiContext, "engine" | "sessions" | "progress" | "log" | "clock"> & {
  hub: Pick<ApiContext["hub"], "progress">;
  logs: Pick<ApiContext["logs"], "append">;
  secrets: Pick<ApiContext["secrets"], "open">;
} & Pick<DeliveryContext, "images" | "admit"> &
  Pick<StepFilesContext, "files" | "fetched">;

/** What the simulator has its own way to do. */
export type AgentsOptions = {
  /** Does work later; what it returns takes that back. */
  after?: (ms: number, work: () => void) => () => void;
  /** sha256 (hexadecimal) of the public key that the caller has proved to have. */
  keyDigestOf?: (call: CallContext) => string;
};

export function agentService(
  context: AgentsContext,
  {
    after = afterTimeout,
    keyDigestOf = ({ certificate }) => certificateKeyDigest(certificate),
  }: AgentsOptions = {},
): Handlers<typeof AgentService> {
  const { engine, sessions } = context;
  const sources = new ImageSources(context);
  const authenticate = (call: CallContext) =>
    authenticated(engine.state.nodes.get(call.commonName), call, keyDigestOf);
  return {
    session: async function* (requests, call) {
      const { name } = authenticate(call);
      const session = sessions.open(name, context.clock());
      const stop = () => session.queue.close();
      const liveness = watchOver(context, session, after);
      void readSession(context, session, requests, liveness);
      call.signal.addEventListener("abort", stop);
      try {
        yield welcome(session, context.clock());
        yield* session.queue;
      } catch (error) {
        if (!(error instanceof QueueOverflowError)) throw error;
        const message = `the agent of ${name} does not read what it is told: ${error.message}`;
        throw new RpcError(codes.RESOURCE_EXHAUSTED, message, { reason: "CONSUMER_TOO_SLOW" });
      } finally {
        call.signal.removeEventListener("abort", stop);
        liveness.end();
        if (sessions.close(session)) await decideOn(context, name, gone);
      }
    },
    locateImage: (request, call) => sources.locate(authenticate(call), request),
    reportSource: async (request, call) => {
      await sources.report(authenticate(call), request);
      return {};
    },
    getSecret: async (request, call) => handOutSecret(context, authenticate(call).name, request),
    getTree: async (request, call) => handOutTree(context, authenticate(call).name, request),
    getFile: async function* (request, call) {
      yield* handOutFile(context, authenticate(call).name, request);
    },
    putFetched: async (request, call) => takeFetched(context, authenticate(call).name, request),
  };
}

/** The certificate names the node; its key must be the one that was approved. */
function authenticated(
  node: Node | undefined,
  call: CallContext,
  keyDigestOf: (call: CallContext) => string,
): Node {
  if (!node) {
    const who = call.commonName || "the agent";
    throw new RpcError(codes.UNAUTHENTICATED, `${who} is not a node here: join again`, {
      reason: "NOT_JOINED",
    });
  }
  if (keyDigestOf(call) !== node.keyDigest) {
    const message = `the key of ${node.name} is no longer the approved one: join again`;
    throw new RpcError(codes.UNAUTHENTICATED, message, { reason: "NOT_JOINED" });
  }
  return node;
}

function afterTimeout(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

function welcome({ node, id }: Session, nowMs: number): SessionResponse {
  const value = {
    node,
    heartbeatInterval: { seconds: heartbeatSeconds },
    clock: timestampFromMs(nowMs),
    sessionId: id,
    lease: { seconds: leaseSeconds },
  };
  return create(SessionResponseSchema, { message: { case: "welcome", value } });
}

/** A decision about a node, if it is still there. */
function decideOn(
  { engine }: Pick<AgentsContext, "engine">,
  name: string,
  work: (decision: Decision, node: Node) => void,
): Promise<void> {
  return engine.decide((decision) => {
    const node = decision.state.nodes.get(name);
    if (node) work(decision, node);
  });
}

function watchOver(context: AgentsContext, session: Session, after: typeof afterTimeout): Liveness {
  const decide = (work: typeof late) => {
    decideOn(context, session.node, (decision, node) => {
      if (!session.queue.closed) work(decision, node);
    }).catch(() => session.queue.close());
  };
  return new Liveness(after, {
    lateMs,
    goneMs,
    onLate: () => {
      decide(late);
      for (const listener of session.commands.values()) listener.late();
    },
    onHeard: () => decide(heard),
    onGone: () => session.queue.close(),
  });
}

/** Takes what the agent says, one message after another, until it or the session ends. */
async function readSession(
  context: AgentsContext,
  session: Session,
  requests: AsyncIterable<SessionRequest>,
  liveness: Liveness,
): Promise<void> {
  try {
    for await (const { message } of requests) {
      // A newer session has begun: what this one says comes too late.
      if (session.queue.closed) return;
      liveness.heard();
      await take(context, session, message);
    }
  } catch (error) {
    context.log.warn({ node: session.node, error: String(error) }, "session ended");
  } finally {
    session.queue.close();
  }
}

async function take(
  context: AgentsContext,
  session: Session,
  message: SessionRequest["message"],
): Promise<void> {
  const { node: name } = session;
  switch (message.case) {
    case "hello":
      return decideOn(context, name, (decision, node) => {
        session.greeted = true;
        hello(decision, node, message.value);
      });
    case "heartbeat":
      // Every other one is enough for the lease, and of thousands of agents half the work.
      if (session.heartbeats++ % 2 === 0) session.send({ case: "heartbeatAck", value: {} });
      return;
    case "inventory":
      return decideOn(context, name, (decision, node) => inventory(decision, node, message.value));
    case "progress":
      return report(context, name, message.value);
    case "log":
      return takeLog(context, session, message.value);
    case "commandOutput":
      return session.commands.get(message.value.id)?.output(message.value.error, message.value.content);
    case "commandExit": {
      const listener = session.commands.get(message.value.id);
      session.commands.delete(message.value.id);
      return listener?.exit(message.value);
    }
    case "result": {
      const { token } = message.value;
      const step = ownStep(context, name, token);
      const progress = step === undefined ? undefined : context.progress.take(step, token);
      return context.engine.decide((decision) => {
        const running = step === undefined ? undefined : decision.state.step(step);
        if (running?.token === token && progress) decision.step(running, { progress });
        result(decision, name, message.value);
      });
    }
  }
}

/**
 * Nobody can read the log of a step that is forgotten, or of an attempt that is, because a backup has taken the
 * place of the state: then it counts as stored.
 */
async function takeLog(
  context: AgentsContext,
  session: Session,
  { token, offset, content }: StepLog,
): Promise<void> {
  const end = BigInt.asUintN(64, offset + BigInt(content.length));
  const step = context.engine.state.step(ownStep(context, session.node, token) ?? "");
  const number = Number(token.slice(token.lastIndexOf("/") + 1));
  if (!step || token !== `${step.name}/${number}` || number < 1 || number > step.attempt) {
    return session.send({ case: "logAck", value: { token, offset: end } });
  }
  if (session.brokenLogs.has(token)) return;
  try {
    const stored = await context.logs.append(token, offset, content);
    session.send({ case: "logAck", value: { token, offset: stored } });
  } catch (error) {
    // Without an acknowledgement the agent keeps it, and sends it again in its next session.
    session.brokenLogs.add(token);
    context.log.warn({ token, error: String(error) }, "a log cannot be stored");
  }
}

function report({ hub, progress, clock, engine }: AgentsContext, node: string, value: StepProgress): void {
  const step = ownStep({ engine }, node, value.token);
  if (step !== undefined) hub.progress(progress.report(step, value, clock()));
}

/** The step of a token, if it is of that node: an agent speaks for itself only. */
function ownStep({ engine }: Pick<AgentsContext, "engine">, node: string, token: string): string | undefined {
  const step = engine.state.step(token.slice(0, token.lastIndexOf("/")));
  return step?.node === node ? step.name : undefined;
}
