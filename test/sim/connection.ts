// A connection between one agent and the daemon, in the place of gRPC: messages arrive in order, late or never,
// sometimes twice where the protocol allows it; each side notices in its own time that the other is gone.
import { create, fromBinary, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import {
  AgentService,
  type Assign,
  EnrollRequestSchema,
  EnrollResponseSchema,
  type SessionRequest,
  SessionRequestSchema,
  type SessionResponse,
  SessionResponseSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import type { Connection } from "../../proto/rpc/client.ts";
import { MessageQueue } from "../../proto/rpc/queue.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { DaemonLife } from "./daemon.ts";
import type { World } from "./world.ts";

/** What may be on its way in each direction, as the window of a real connection allows. */
const window = 64;
const unaryTimeoutMs = 10_000;
const queueLimit = 10_000;

type AgentEnd = { alive(): boolean; assigned(assign: Assign): void };
type Init = MessageInitShape<typeof SessionRequestSchema>;

export class SimConnection implements Disposable {
  readonly #world: World;
  readonly #node: string;
  readonly #certificate: string;
  readonly #agent: AgentEnd;
  #call: SessionCall | undefined;

  constructor(world: World, node: string, certificate: string, agent: AgentEnd) {
    this.#world = world;
    this.#node = node;
    this.#certificate = certificate;
    this.#agent = agent;
  }

  client: Connection["client"] = (service) => {
    const calls =
      service.typeName === AgentService.typeName
        ? {
            session: (requests: AsyncIterable<Init>, { signal }: { signal: AbortSignal }) =>
              this.#session(requests, signal),
          }
        : { enroll: (request: MessageInitShape<typeof EnrollRequestSchema>) => this.#enroll(request) };
    return calls as unknown as ReturnType<Connection["client"]> as never;
  };

  break(swiftly: boolean): void {
    this.#call?.break(swiftly);
  }

  [Symbol.dispose](): void {
    this.#call?.hangUp();
  }

  #session(requests: AsyncIterable<Init>, signal: AbortSignal): AsyncIterable<SessionResponse> {
    this.#call = new SessionCall(this.#world, this.#node, this.#certificate, this.#agent);
    signal.addEventListener("abort", () => this.#call?.hangUp());
    void this.#call.open(requests);
    return this.#call.responses;
  }

  /** A call to a daemon that dies, or that the network does not reach, fails. */
  #enroll(request: MessageInitShape<typeof EnrollRequestSchema>) {
    const { daemon, network, timeline } = this.#world;
    return new Promise((resolve, reject) => {
      const later = (ms: number, work: () => void) =>
        timeline.after(ms, () => {
          if (this.#agent.alive()) work();
        });
      later(unaryTimeoutMs, () => reject(new RpcError(codes.UNAVAILABLE, "deadline exceeded")));
      if (!network.isUp(this.#node)) return;
      timeline.after(network.delayMs(this.#node), () => {
        const life = daemon.life;
        if (!life) {
          later(10, () => reject(new RpcError(codes.UNAVAILABLE, "connection refused")));
          return;
        }
        life.enroll(create(EnrollRequestSchema, request)).then(
          (answer) => later(network.delayMs(this.#node), () => resolve(create(EnrollResponseSchema, answer))),
          (error) => later(network.delayMs(this.#node), () => reject(RpcError.from(error))),
        );
      });
    });
  }
}

/** One session call. Each direction is a line of messages that arrive one after another. */
export class SessionCall {
  readonly responses = new MessageQueue<SessionResponse>(queueLimit);
  readonly node: string;
  readonly #world: World;
  readonly #certificate: string;
  readonly #agent: AgentEnd;
  readonly #requests = new MessageQueue<SessionRequest>(queueLimit);
  readonly #cancelled = new AbortController();
  readonly #up: Line;
  readonly #down: Line;

  constructor(world: World, node: string, certificate: string, agent: AgentEnd) {
    this.node = node;
    this.#world = world;
    this.#certificate = certificate;
    this.#agent = agent;
    const sluggish = world.faulty && world.random.chance(world.faults.sluggish);
    this.#up = new Line(world, node, sluggish);
    this.#down = new Line(world, node, sluggish);
  }

  async open(requests: AsyncIterable<Init>): Promise<void> {
    const { daemon, network, timeline } = this.#world;
    timeline.after(network.delayMs(this.node), () => {
      const life = daemon.life;
      if (!network.isUp(this.node) || !life) return this.#fail("connection refused");
      life.calls.add(this);
      void this.#serve(life);
    });
    for await (const request of requests) {
      if (!this.#agent.alive()) return;
      const message = copy(SessionRequestSchema, create(SessionRequestSchema, request));
      for (let times = this.#times(message); times > 0; times--)
        await this.#up.send(() => this.#requests.push(message));
    }
    this.#up.last(() => this.#requests.close());
  }

  /** The connection is dead. `swiftly`: both ends see it at once, as when a process dies; else neither does. */
  break(swiftly: boolean): void {
    this.#up.cut();
    this.#down.cut();
    if (!swiftly) return;
    const { timeline, random } = this.#world;
    timeline.after(random.between(1, 50), () => this.#cancel());
    timeline.after(random.between(1, 50), () => this.#fail("connection reset"));
  }

  /** The agent wants no more of it; the daemon hears of that after what is on its way. */
  hangUp(): void {
    this.responses.fail(new RpcError(codes.CANCELLED, "cancelled"));
    this.#down.cut();
    this.#up.last(() => this.#cancel());
  }

  async #serve(life: DaemonLife): Promise<void> {
    const [commonName = "", key = ""] = this.#certificate.split(" ");
    const call = {
      signal: this.#cancelled.signal,
      peer: this.node,
      commonName,
      certificate: Buffer.from(key),
    };
    try {
      for await (const init of life.session(this.#requests, call)) {
        const response = create(SessionResponseSchema, init);
        if (response.message.case === "assign") this.#world.invariants.assigned(response.message.value);
        for (let times = this.#times(response); times > 0; times--)
          await this.#down.send(() => this.#receive(response));
      }
      this.#down.last(() => this.responses.close());
    } catch (error) {
      this.#down.last(() => this.responses.fail(RpcError.from(error)));
    }
    life.calls.delete(this);
  }

  /** Each side may say again what it has said, but not what begins a session. */
  #times({ message }: SessionRequest | SessionResponse): number {
    const { random, faults } = this.#world;
    const isFirst = message.case === "welcome" || message.case === "hello";
    return !isFirst && random.chance(faults.doubled) ? 2 : 1;
  }

  #receive(response: SessionResponse): void {
    if (!this.#agent.alive()) return;
    const message = copy(SessionResponseSchema, response);
    if (message.message.case === "assign") this.#agent.assigned(message.message.value);
    this.responses.push(message);
  }

  #cancel(): void {
    this.#cancelled.abort();
    this.#requests.fail(new RpcError(codes.CANCELLED, "cancelled"));
  }

  #fail(why: string): void {
    if (this.#agent.alive()) this.responses.fail(new RpcError(codes.UNAVAILABLE, why));
  }
}

/** One direction: in order, each message with a delay of its own, a bounded number on the way. */
class Line {
  readonly #world: World;
  readonly #node: string;
  readonly #sluggish: boolean;
  #lastMs = 0;
  #onTheWay = 0;
  #isCut = false;
  #room: (() => void) | undefined;

  /** `sluggish`: as long as things go wrong, each message takes seconds, unlike those of a newer connection. */
  constructor(world: World, node: string, sluggish: boolean) {
    this.#world = world;
    this.#node = node;
    this.#sluggish = sluggish;
  }

  /** Resolves when there is room for another one. */
  async send(deliver: () => void): Promise<void> {
    this.#onTheWay++;
    this.#schedule(() => {
      this.#onTheWay--;
      this.#room?.();
      deliver();
    });
    while (this.#onTheWay >= window) {
      await new Promise<void>((resolve) => {
        this.#room = resolve;
      });
    }
  }

  /** After all that is on the way. */
  last(deliver: () => void): void {
    this.#schedule(deliver);
  }

  /** What is on the way is lost, and nothing comes after it. */
  cut(): void {
    this.#isCut = true;
  }

  #schedule(deliver: () => void): void {
    const { timeline, network, random, faulty } = this.#world;
    const moreMs = this.#sluggish && faulty ? random.between(0, 15_000) : 0;
    this.#lastMs = Math.max(this.#lastMs, timeline.nowMs + network.delayMs(this.#node) + moreMs);
    timeline.after(this.#lastMs - timeline.nowMs, () => {
      if (!this.#isCut) deliver();
    });
  }
}

/** As the other side gets it: nothing is shared. */
function copy<S extends GenMessage<SessionRequest> | GenMessage<SessionResponse>>(
  schema: S,
  message: MessageShape<S>,
): MessageShape<S> {
  return fromBinary(schema, toBinary(schema, message));
}
