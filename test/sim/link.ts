// One session between an agent and the daemon: in order while it lasts, with delay; when it breaks, what is
// in flight is lost, and each side notices in its own time.
import { gone, hello, result } from "../../daemon/domain/report.ts";
import type { Hello, SessionResponse, StepResult } from "../../proto/gen/muster/v1/agent_pb.ts";
import type { World } from "./world.ts";

export type AgentMessage = { case: "hello"; value: Hello } | { case: "result"; value: StepResult };

/** The daemon ends a session after so long without a heartbeat. */
const daemonPatienceMs = 16_000;
/** The agent's keep-alive. */
const agentPatienceMs = 20_000;

export type LinkEnds = { node: string; receive(message: SessionResponse): void; ended(): void };

export class Link {
  readonly node: string;
  readonly #world: World;
  readonly #ends: LinkEnds;
  #broken = false;
  #lastUpMs = 0;
  #lastDownMs = 0;

  constructor(world: World, ends: LinkEnds) {
    this.#world = world;
    this.#ends = ends;
    this.node = ends.node;
  }

  get broken(): boolean {
    return this.#broken;
  }

  toDaemon(message: AgentMessage): void {
    const { timeline, daemon, network } = this.#world;
    this.#lastUpMs = Math.max(this.#lastUpMs, timeline.nowMs + network.delayMs(this.node));
    timeline.after(this.#lastUpMs - timeline.nowMs, () => {
      if (this.#broken || !daemon.isCurrent(this)) return;
      const { node } = this;
      const text = message.case === "hello" ? message.value.bootId : message.value.token;
      timeline.trace(`daemon hears ${message.case} ${text} of ${node}`);
      daemon.decide((decision) => {
        const known = decision.state.nodes.get(node);
        if (!known) return;
        if (message.case === "hello") hello(decision, known, message.value);
        else result(decision, node, message.value);
      });
    });
  }

  toAgent(message: SessionResponse): void {
    if (this.#broken) return;
    const { timeline, network, random, faults } = this.#world;
    this.#lastDownMs = Math.max(this.#lastDownMs, timeline.nowMs + network.delayMs(this.node));
    const deliver = () => {
      if (!this.#broken) this.#ends.receive(message);
    };
    timeline.after(this.#lastDownMs - timeline.nowMs, deliver);
    if (random.chance(faults.doubled)) timeline.after(this.#lastDownMs - timeline.nowMs, deliver);
  }

  /** The connection is dead. `swiftly`: the other side's end is seen at once, as when a process dies. */
  break(swiftly = true): void {
    if (this.#broken) return;
    this.#broken = true;
    const { timeline, random, daemon } = this.#world;
    const within = (patienceMs: number) =>
      swiftly ? random.between(1, 50) : random.between(patienceMs - 5_000, patienceMs);
    timeline.after(within(agentPatienceMs), () => this.#ends.ended());
    timeline.after(within(daemonPatienceMs), () => {
      if (!daemon.forget(this)) return;
      timeline.trace(`daemon has lost the session of ${this.node}`);
      daemon.decide((decision) => {
        const node = decision.state.nodes.get(this.node);
        if (node) gone(decision, node);
      });
    });
  }
}

/** The way between the daemon and each node. */
export class Network {
  readonly #world: World;
  readonly #cutOffUntilMs = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  partition(node: string, lengthMs: number): void {
    this.#world.timeline.trace(`network to ${node} is down for ${lengthMs} ms`);
    this.#cutOffUntilMs.set(node, this.#world.timeline.nowMs + lengthMs);
  }

  isUp(node: string): boolean {
    return this.#world.timeline.nowMs >= (this.#cutOffUntilMs.get(node) ?? 0);
  }

  /** What is sent during a short outage arrives after it. */
  delayMs(node: string): number {
    const { timeline, random } = this.#world;
    const outageMs = Math.max(0, (this.#cutOffUntilMs.get(node) ?? 0) - timeline.nowMs);
    return outageMs + (random.chance(0.05) ? random.between(100, 3_000) : random.between(1, 30));
  }
}
