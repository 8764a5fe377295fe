// The open sessions of agents: who is connected, and the way to speak to each.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type CommandExit,
  type SessionResponse,
  SessionResponseSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { MessageQueue } from "../../proto/rpc/queue.ts";

/** A step's worth of messages is a handful; an agent that leaves so many unread ends its session. */
const queueLimit = 1_000;

/** Hears of one of an operator's commands what its agent says. */
export type CommandListener = {
  output(error: boolean, content: Uint8Array): void;
  /** The last word about it. */
  exit(exit: Pick<CommandExit, "exitCode" | "reason" | "droppedBytes">): void;
  /** The agent has missed its heartbeats, and may yet come back. */
  late(): void;
  /** The session has ended before. */
  lost(): void;
};

export class Session {
  readonly node: string;
  readonly id: string;
  readonly queue = new MessageQueue<SessionResponse>(queueLimit);
  /** It has said hello: before that, nobody knows which boot of the node is at the other end. */
  greeted = false;
  /** How many heartbeats have come. */
  heartbeats = 0;
  /** Tokens of logs that could not be stored; what follows must wait for the next session. */
  readonly brokenLogs = new Set<string>();
  /** Of the commands that run on the node, by id. */
  readonly commands = new Map<string, CommandListener>();

  constructor(node: string, id: string) {
    this.node = node;
    this.id = id;
  }

  send(message: MessageInitShape<typeof SessionResponseSchema>["message"]): void {
    this.queue.push(create(SessionResponseSchema, { message }));
  }

  end(): void {
    this.queue.close();
    const lost = [...this.commands.values()];
    this.commands.clear();
    for (const listener of lost) listener.lost();
  }
}

export class Sessions {
  readonly #sessions = new Map<string, Session>();
  #opened = 0;

  /** A newer session of the same node ends the older one. */
  open(node: string, nowMs: number): Session {
    this.#sessions.get(node)?.end();
    const session = new Session(node, `${nowMs.toString(36)}-${++this.#opened}`);
    this.#sessions.set(node, session);
    return session;
  }

  /** True if it was the node's current session: then the node is gone. */
  close(session: Session): boolean {
    session.end();
    if (this.#sessions.get(session.node) !== session) return false;
    return this.#sessions.delete(session.node);
  }

  /** The node's session, if it has said hello and has not ended. */
  greeted(node: string): Session | undefined {
    const session = this.#sessions.get(node);
    return session?.greeted && !session.queue.closed ? session : undefined;
  }

  /** Without a session that has said hello the message is dropped: the next hello makes it good. */
  send(node: string, message: MessageInitShape<typeof SessionResponseSchema>["message"]): void {
    const session = this.#sessions.get(node);
    if (session?.greeted) session.send(message);
  }

  closeAll(): void {
    for (const session of this.#sessions.values()) session.end();
  }
}
