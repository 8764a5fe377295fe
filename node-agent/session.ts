// The agent's session with the daemon: says hello with the truth, then carries messages both ways, and comes
// back when it is lost. A running step does not notice.
import { setTimeout as delay } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  AgentService,
  type HelloSchema,
  type SessionResponse,
  type Welcome,
} from "../proto/gen/muster/v1/agent_pb.ts";
import type { Inventory } from "../proto/gen/muster/v1/inventory_pb.ts";
import type { Connection } from "../proto/rpc/client.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import type { Attempts } from "./attempts.ts";
import { Backoff } from "./backoff.ts";
import type { Print } from "./console.ts";
import type { Outbox } from "./outbox.ts";

/** What the daemon is told first, beside the attempts. */
export type Description = {
  facts: Omit<MessageInitShape<typeof HelloSchema>, "$typeName" | "$unknown" | "running" | "finished">;
  inventory: Inventory;
};

export type SessionOptions = {
  connect(): Connection;
  /** Looks at the machine anew for each session. */
  describe(): Promise<Description>;
  outbox: Outbox;
  attempts: Attempts;
  print: Print;
  signal: AbortSignal;
  backoff?: Backoff;
};

const welcomeTimeoutMs = 15_000;
const defaultHeartbeatMs = 5_000;
/** A clock that is further off makes certificates look invalid. */
const clockToleranceMs = 60_000;

/** Keeps a session open until the signal is aborted. */
export async function keepSession(options: SessionOptions): Promise<void> {
  const { print, signal, backoff = new Backoff() } = options;
  let lastFailure = "";
  while (!signal.aborted) {
    const failure = await runSession(options, () => {
      backoff.reset();
      lastFailure = "";
    });
    if (signal.aborted) return;
    if (failure !== lastFailure) print(failure);
    lastFailure = failure;
    await delay(backoff.next(), undefined, { signal }).catch(() => {});
  }
}

/** One session; says why it ended. */
async function runSession(options: SessionOptions, onWelcome: () => void): Promise<string> {
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  let heartbeat: NodeJS.Timeout | undefined;
  let unwelcome: NodeJS.Timeout | undefined;
  try {
    const { outbox, attempts } = options;
    const { facts, inventory } = await options.describe();
    const hello = { ...facts, running: attempts.running, finished: attempts.finished };
    outbox.begin([
      { message: { case: "hello", value: hello } },
      { message: { case: "inventory", value: inventory } },
    ]);
    unwelcome = setTimeout(() => ended.abort(), welcomeTimeoutMs);
    using connection = options.connect();
    for await (const response of connection.client(AgentService).session(outbox.stream(signal), { signal })) {
      if (response.message.case === "welcome") {
        clearTimeout(unwelcome);
        clearInterval(heartbeat);
        heartbeat = setInterval(() => outbox.heartbeat(), heartbeatMs(response.message.value));
        greet(response.message.value, options.print);
        onWelcome();
      } else receive(response, options);
    }
    return "the daemon ended the session; connecting again";
  } catch (error) {
    return explain(error, ended.signal.aborted);
  } finally {
    clearTimeout(unwelcome);
    clearInterval(heartbeat);
    ended.abort();
  }
}

function receive({ message }: SessionResponse, { attempts, outbox }: SessionOptions): void {
  switch (message.case) {
    case "assign":
      attempts.assign(message.value);
      break;
    case "cancel":
      attempts.cancel(message.value.token);
      break;
    case "resultAck":
      attempts.acknowledge(message.value.token);
      break;
    case "logAck":
      outbox.ackLog(message.value.token, Number(message.value.offset));
  }
}

function heartbeatMs({ heartbeatInterval }: Welcome): number {
  if (!heartbeatInterval) return defaultHeartbeatMs;
  return Number(heartbeatInterval.seconds) * 1000 + heartbeatInterval.nanos / 1e6 || defaultHeartbeatMs;
}

function greet({ node, clock }: Welcome, print: Print): void {
  print(`connected to the daemon as node ${node}`);
  const offMs = clock ? Date.now() - timestampMs(clock) : 0;
  if (Math.abs(offMs) > clockToleranceMs) {
    print(`this machine's clock is ${Math.round(offMs / 1000)} s off the daemon's; set it`);
  }
}

function explain(error: unknown, silent: boolean): string {
  if (silent) return `the daemon did not answer the hello in ${welcomeTimeoutMs / 1000} s; connecting again`;
  const { code, message } = RpcError.from(error);
  if (code === codes.UNAUTHENTICATED || code === codes.PERMISSION_DENIED) {
    return `the daemon refuses this node's certificate: ${message}. Still trying; a redeployment gives a new one`;
  }
  if (/certificate|handshake|\bTLS\b|\bSSL\b/i.test(message)) {
    return `the secure connection to the daemon fails: ${message}. Still trying`;
  }
  if (code === codes.UNAVAILABLE) return `the daemon cannot be reached: ${message}. Still trying`;
  return `the session was lost: ${message}; connecting again`;
}
