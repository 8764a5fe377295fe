// The open sessions of agents: who is connected, and the way to speak to each.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type SessionResponse, SessionResponseSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import { MessageQueue } from "../../proto/rpc/queue.ts";

const queueLimit = 1_000;

export type Session = { node: string; queue: MessageQueue<SessionResponse> };

export class Sessions {
  readonly #sessions = new Map<string, Session>();

  /** A newer session of the same node ends the older one. */
  open(node: string): Session {
    this.#sessions.get(node)?.queue.close();
    const session = { node, queue: new MessageQueue<SessionResponse>(queueLimit) };
    this.#sessions.set(node, session);
    return session;
  }

  /** True if it was the node's current session: then the node is gone. */
  close(session: Session): boolean {
    session.queue.close();
    if (this.#sessions.get(session.node) !== session) return false;
    return this.#sessions.delete(session.node);
  }

  /** Without a session the message is dropped: the next hello makes it good. */
  send(node: string, message: MessageInitShape<typeof SessionResponseSchema>["message"]): void {
    this.#sessions.get(node)?.queue.push(create(SessionResponseSchema, { message }));
  }

  closeAll(): void {
    for (const { queue } of this.#sessions.values()) queue.close();
  }
}
