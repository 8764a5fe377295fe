// One command on many nodes: given to the sessions of their agents, a limited number at a time, and what comes back
// told in one stream. A node that says nothing is given up by itself and holds no other one up.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type RunEndedSchema,
  type RunResponse,
  RunResponseSchema,
} from "../../proto/gen/muster/v1/run_pb.ts";
import { MessageQueue } from "../../proto/rpc/queue.ts";
import type { Session, Sessions } from "./sessions.ts";

/** After its timeout an agent has this long to say so. */
const graceMs = 10_000;
/** Bytes that wait for a caller who does not read fast enough; beyond them output is dropped, and counted. */
const waitingLimit = 32 << 20;
/** What a message takes in memory beside its content. */
const messageBytes = 256;

export type FleetCommand = {
  argv: string[];
  timeoutMs: number;
  /** Bytes for each node. */
  outputLimit: bigint;
  /** Nodes at once; 0 is all. */
  batch: number;
};

type Running = {
  session: Session;
  dropped: number;
  giveUp: NodeJS.Timeout;
  /** Its agent is silent: another node has its place meanwhile. */
  isLate: boolean;
};

let runs = 0;

export class FleetRun {
  /** Of the command, on every node. */
  readonly #id = `run-${++runs}`;
  readonly #sessions: Pick<Sessions, "greeted">;
  readonly #command: FleetCommand;
  readonly #waiting: string[];
  readonly #running = new Map<string, Running>();
  readonly #queue = new MessageQueue<RunResponse>(Number.POSITIVE_INFINITY);
  #queuedBytes = 0;
  #stopped = false;

  constructor(sessions: Pick<Sessions, "greeted">, nodes: readonly string[], command: FleetCommand) {
    this.#sessions = sessions;
    this.#waiting = [...nodes].reverse();
    this.#command = command;
  }

  /** Begins; what comes back until every node has ended, or it is stopped. Who stops reading stops it. */
  async *responses(): AsyncGenerator<RunResponse> {
    try {
      this.#fill();
      for await (const response of this.#queue) {
        this.#queuedBytes -= sizeOf(response);
        yield response;
      }
    } finally {
      this.stop();
    }
  }

  /** Ends it on every node. */
  stop(): void {
    this.#stopped = true;
    for (const { session, giveUp } of this.#running.values()) {
      clearTimeout(giveUp);
      session.commands.delete(this.#id);
      if (!session.queue.closed) session.send({ case: "cancelCommand", value: { id: this.#id } });
    }
    this.#running.clear();
    this.#queue.close();
  }

  #fill(): void {
    const most = this.#command.batch || Number.POSITIVE_INFINITY;
    while (!this.#stopped && this.#placed() < most) {
      const node = this.#waiting.pop();
      if (node === undefined) break;
      this.#begin(node);
    }
    if (this.#running.size === 0 && this.#waiting.length === 0) this.#queue.close();
  }

  /** How many nodes are at work. */
  #placed(): number {
    if (!this.#command.batch) return 0;
    return [...this.#running.values()].filter(({ isLate }) => !isLate).length;
  }

  #begin(node: string): void {
    const session = this.#sessions.greeted(node);
    if (!session) {
      this.#say({ case: "ended", value: lost(node, "lost: its session has ended") });
      return;
    }
    const { argv, timeoutMs, outputLimit } = this.#command;
    const giveUp = setTimeout(() => {
      session.commands.delete(this.#id);
      session.send({ case: "cancelCommand", value: { id: this.#id } });
      const seconds = (timeoutMs + graceMs) / 1000;
      this.#end(node, lost(node, `lost: its agent has not answered for ${seconds} s`));
    }, timeoutMs + graceMs);
    const running: Running = { session, dropped: 0, giveUp, isLate: false };
    this.#running.set(node, running);
    session.commands.set(this.#id, {
      output: (error, content) => this.#output(node, running, error, content),
      exit: ({ exitCode, reason, droppedBytes }) =>
        this.#end(node, {
          node,
          exitCode,
          reason,
          droppedBytes: droppedBytes + BigInt(running.dropped),
        }),
      late: () => {
        running.isLate = true;
        this.#fill();
      },
      lost: () => this.#end(node, lost(node, "lost: its session has ended")),
    });
    session.send({
      case: "runCommand",
      value: { id: this.#id, argv, timeout: durationFromMs(timeoutMs), outputLimit },
    });
  }

  #output(node: string, running: Running, error: boolean, content: Uint8Array): void {
    if (this.#queuedBytes > waitingLimit) running.dropped += content.length;
    else this.#say({ case: "output", value: { node, error, content } });
  }

  #end(node: string, value: MessageInitShape<typeof RunEndedSchema>): void {
    const running = this.#running.get(node);
    if (!running) return;
    clearTimeout(running.giveUp);
    this.#running.delete(node);
    this.#say({ case: "ended", value });
    this.#fill();
  }

  #say(message: MessageInitShape<typeof RunResponseSchema>["message"]): void {
    const response = create(RunResponseSchema, { message });
    this.#queuedBytes += sizeOf(response);
    this.#queue.push(response);
  }
}

function sizeOf({ message }: RunResponse): number {
  return messageBytes + (message.case === "output" ? message.value.content.length : 0);
}

function lost(node: string, reason: string): { node: string; exitCode: number; reason: string } {
  return { node, exitCode: -1, reason };
}
