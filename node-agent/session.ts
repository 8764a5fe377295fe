// The agent's session with the daemon: says hello with the truth, then carries messages both ways, and comes
// back when it is lost. A running step does not notice.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
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
import { Commands } from "./commands.ts";
import type { Print } from "./console.ts";
import { Lease } from "./lease.ts";
import type { Outbox, Outgoing } from "./outbox.ts";
import { pause, type Timers } from "./timers.ts";

type AttemptFields = "running" | "finished" | "highestFence" | "clock";

/** What the daemon is told first, beside the attempts. */
export type Facts = Omit<MessageInitShape<typeof HelloSchema>, "$typeName" | "$unknown" | AttemptFields>;

export type SessionOptions = {
  connect(): Pick<Connection, "client" | typeof Symbol.dispose>;
  /** Quick: a daemon that waits for word of this machine must not wait for its hardware report. */
  facts(): Promise<Facts>;
  /** Looks at the hardware, which may take a while; sent when it is there. */
  inventory(): Promise<Inventory>;
  outbox: Outbox;
  attempts: Attempts;
  print: Print;
  signal: AbortSignal;
  timers: Timers;
  backoff?: Backoff;
};

const welcomeTimeoutMs = 15_000;
const defaultHeartbeatMs = 5_000;
const defaultLeaseMs = 40_000;
/** A clock that is further off makes certificates look invalid. */
const clockToleranceMs = 60_000;

/**
 * Keeps a session open until the signal is aborted. `refused`: the daemon does not know this key any more, as the
 * node was deleted or its state is older than the key; only joining anew helps.
 */
export async function keepSession(options: SessionOptions): Promise<"over" | "refused"> {
  const { print, signal, timers, backoff = new Backoff() } = options;
  let lastFailure = "";
  while (!signal.aborted) {
    const { failure, refused } = await runSession(options, () => {
      backoff.reset();
      lastFailure = "";
    });
    if (signal.aborted) break;
    if (failure !== lastFailure) print(failure);
    lastFailure = failure;
    await pause(timers, backoff.next(), signal);
    if (refused) return "refused";
  }
  return "over";
}

type End = { failure: string; refused: boolean };

/** One session; says why it ended. */
async function runSession(options: SessionOptions, onWelcome: () => void): Promise<End> {
  const { outbox, timers, print } = options;
  const ended = new AbortController();
  const signal = AbortSignal.any([options.signal, ended.signal]);
  let stopBeats = () => {};
  let silence = `the daemon did not answer the hello in ${welcomeTimeoutMs / 1000} s; connecting again`;
  const lease = new Lease(timers, () => ended.abort());
  const commands = new Commands(() => outbox.wake());
  try {
    const facts = await options.facts();
    // In one go: an outcome that comes between the hello and the beginning would be in neither.
    outbox.begin(helloMessage(options, facts), commands);
    lease.begin(welcomeTimeoutMs);
    using connection = options.connect();
    const responses = connection.client(AgentService).session(outbox.stream(signal), { signal });
    for await (const response of responses) {
      // What was sent before the silence, and is read after it, is not for this session any more.
      if (!lease.renew()) break;
      if (response.message.case === "welcome") {
        const welcome = response.message.value;
        const leaseMs = milliseconds(welcome.lease) || defaultLeaseMs;
        lease.begin(leaseMs);
        silence = `the daemon was silent for ${leaseMs / 1000} s; connecting again`;
        stopBeats();
        stopBeats = beat(outbox, timers, milliseconds(welcome.heartbeatInterval) || defaultHeartbeatMs);
        greet(welcome, timers, print);
        reportInventory(options);
        onWelcome();
      } else receive(response, options, commands);
    }
    const failure = lease.over ? silence : "the daemon ended the session; connecting again";
    return { failure, refused: false };
  } catch (error) {
    const refused = !lease.over && RpcError.from(error).reason === "NOT_JOINED";
    return { failure: lease.over ? silence : explain(error), refused };
  } finally {
    lease.end();
    stopBeats();
    commands.end();
    ended.abort();
  }
}

function helloMessage({ attempts, timers }: SessionOptions, facts: Facts): Outgoing {
  const { running, finished, highestFence } = attempts;
  const clock = timestampFromMs(timers.clock());
  return { message: { case: "hello", value: { ...facts, running, finished, highestFence, clock } } };
}

function reportInventory({ inventory, outbox, print }: SessionOptions): void {
  inventory().then(
    (report) => outbox.inventory(report),
    (error: unknown) =>
      print(`the hardware cannot be read: ${error instanceof Error ? error.message : error}`),
  );
}

function beat(outbox: Outbox, timers: Timers, intervalMs: number): () => void {
  let stop = () => {};
  const next = () => {
    stop = timers.after(intervalMs, () => {
      outbox.heartbeat();
      next();
    });
  };
  next();
  return () => stop();
}

function receive(
  { message }: SessionResponse,
  { attempts, outbox }: SessionOptions,
  commands: Commands,
): void {
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
      break;
    case "runCommand":
      commands.run(message.value);
      break;
    case "cancelCommand":
      commands.cancel(message.value.id);
  }
}

function milliseconds(duration: Duration | undefined): number {
  return duration ? Number(duration.seconds) * 1000 + duration.nanos / 1e6 : 0;
}

function greet({ node, clock }: Welcome, timers: Timers, print: Print): void {
  print(`connected to the daemon as node ${node}`);
  const offMs = clock ? timers.clock() - timestampMs(clock) : 0;
  if (Math.abs(offMs) > clockToleranceMs) {
    print(`this machine's clock is ${Math.round(offMs / 1000)} s off the daemon's; set it`);
  }
}

function explain(error: unknown): string {
  const { code, message } = RpcError.from(error);
  if (code === codes.UNAUTHENTICATED || code === codes.PERMISSION_DENIED) {
    return `the daemon refuses this node's certificate: ${message}. Still trying; in the ramdisk by joining anew, else a redeployment gives a new one`;
  }
  if (/certificate|handshake|\bTLS\b|\bSSL\b/i.test(message)) {
    return `the secure connection to the daemon fails: ${message}. Still trying`;
  }
  if (code === codes.UNAVAILABLE) return `the daemon cannot be reached: ${message}. Still trying`;
  return `the session was lost: ${message}; connecting again`;
}
