// The agent's process: joins, keeps a session, and does attempts by the rules of node-agent/attempts.ts: one at
// a time, each token once, every outcome in the journal before anybody hears of it.
import { create } from "@bufbuild/protobuf";
import { join } from "../../daemon/domain/join.ts";
import {
  type Assign,
  HelloSchema,
  StepResult_Outcome as Outcome,
  type SessionResponse,
  StepResultSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { Environment, FingerprintSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { imageDigest, rootDevice } from "./cluster.ts";
import { begin, complete, durationMs, type Kind } from "./disk.ts";
import { Link } from "./link.ts";
import type { Boot, Machine } from "./machine.ts";
import type { World } from "./world.ts";

type Ending = { outcome: Outcome; reason?: string; exitCode?: number; result?: string };

const rebootDelayMs = 3_000;
/** A call to a daemon that dies fails. */
const callTimeoutMs = 1_000;
const never = () => {};

export class AgentProcess {
  readonly #world: World;
  readonly #machine: Machine;
  readonly #boot: Boot;
  #alive = true;
  #link: Link | undefined;
  #running: Assign | undefined;
  #rebootAfter = "";
  #backoffMs = 500;

  constructor(world: World, machine: Machine, boot: Boot) {
    this.#world = world;
    this.#machine = machine;
    this.#boot = boot;
  }

  get running(): string | undefined {
    return this.#running?.token;
  }

  start(): void {
    this.#boot.journal.settleOrphans(this.#boot.id);
    if (this.#boot.environment === Environment.BOOTSTRAP) this.#later(200, () => this.#enroll());
    else this.#later(200, () => this.#connect());
  }

  /** `swiftly`: the machine lives on and closes the connection. */
  kill(swiftly: boolean): void {
    this.#alive = false;
    this.#link?.break(swiftly);
  }

  #later(delayMs: number, work: () => void): void {
    this.#world.timeline.after(delayMs, () => {
      if (this.#alive) work();
    });
  }

  #again(work: () => void): void {
    const waitMs = Math.round(this.#backoffMs * (0.5 + this.#world.random.next() / 2));
    this.#backoffMs = Math.min(this.#backoffMs * 2, 10_000);
    this.#later(waitMs, work);
  }

  /** The ramdisk has a new key after every boot; the same agent in it has a certificate already. */
  #enroll(): void {
    const { daemon, network, timeline } = this.#world;
    const { name, mac } = this.#machine;
    const request = {
      fingerprint: create(FingerprintSchema, { macs: [mac] }),
      inventory: undefined,
      keyDigest: this.#boot.key,
    };
    const answer = network.isUp(name) ? daemon.ask((decision) => join(decision, request)) : undefined;
    let answered = false;
    answer?.then(({ outcome }) => {
      timeline.trace(`${name} asks to join with ${this.#boot.key}: ${outcome}`);
      answered = true;
      this.#later(network.delayMs(name), () => {
        if (outcome === "sign") this.#connect();
        else this.#again(() => this.#enroll());
      });
    }, never);
    this.#later(answer ? callTimeoutMs : 0, () => {
      if (!answered) this.#again(() => this.#enroll());
    });
  }

  #connect(): void {
    const { daemon, network, timeline } = this.#world;
    const { name } = this.#machine;
    const known = daemon.life?.engine.state.nodes.get(name);
    const link = new Link(this.#world, {
      node: name,
      receive: (message) => this.#alive && this.#link === link && this.#receive(message),
      ended: () => {
        if (!this.#alive || this.#link !== link) return;
        this.#link = undefined;
        this.#again(() => this.#connect());
      },
    });
    const welcome = network.isUp(name) && known?.keyDigest === this.#boot.key;
    if (!welcome || !daemon.accept(link)) {
      this.#again(() => this.#connect());
      return;
    }
    timeline.trace(`${name}'s agent has a session, running ${this.running ?? "nothing"}`);
    this.#backoffMs = 500;
    this.#link = link;
    link.toDaemon({ case: "hello", value: this.#hello() });
  }

  #hello() {
    const { environment, id: bootId, journal } = this.#boot;
    const installed = { bootId, hostname: this.#machine.name, rootDevice, imageDigest };
    return create(HelloSchema, {
      environment,
      bootId,
      running: this.#running ? [this.#running.token] : [],
      finished: journal.unacknowledged(),
      installed: environment === Environment.INSTALLED ? installed : undefined,
    });
  }

  #receive({ message }: SessionResponse): void {
    if (message.case === "assign") this.#assign(message.value);
    else if (message.case === "cancel") this.#cancel(message.value.token);
    else if (message.case === "resultAck") {
      this.#boot.journal.acknowledge(message.value.token);
      if (this.#rebootAfter === message.value.token) this.#reboot();
    }
  }

  #assign(assign: Assign): void {
    const { journal, id } = this.#boot;
    const { token } = assign;
    if (journal.has(token)) {
      this.#tell(token);
      return;
    }
    const kind = assign.action?.kind.case ?? "shell";
    journal.start(token, kind, id);
    if (!this.#running) this.#run(assign, kind);
    else this.#settle(token, failure(`the node is still running ${this.#running.step}`));
  }

  #run(assign: Assign, kind: Kind): void {
    const { invariants, random, timeline } = this.#world;
    const { token } = assign;
    timeline.trace(`${this.#machine.name} starts ${token} in ${this.#boot.id}`);
    invariants.started(assign, this.#boot.environment, this.#machine);
    this.#running = assign;
    const missing = begin(kind, this.#machine);
    if (missing) invariants.violated(`${token} was started, but ${missing}`);
    const fails = this.#world.stepFails(assign);
    const tookMs = Math.round(durationMs(kind, random) * (fails ? random.next() : 1));
    const limitMs = Number(assign.timeout?.seconds ?? 0n) * 1000;
    this.#later(Math.min(tookMs, limitMs), () => {
      if (this.#running !== assign) return;
      this.#running = undefined;
      if (fails) {
        this.#settle(token, failure("exit code 1", 1));
        return;
      }
      complete(kind, this.#machine, this.#boot.key);
      invariants.done(assign);
      this.#settle(token, { outcome: Outcome.SUCCEEDED, result: "done" });
      if (kind !== "reboot") return;
      this.#rebootAfter = token;
      this.#later(rebootDelayMs, () => this.#reboot());
    });
  }

  #cancel(token: string): void {
    const { journal, id } = this.#boot;
    const cancelled = { outcome: Outcome.CANCELLED, reason: "the step was cancelled", exitCode: -1 };
    const assign = this.#running;
    if (journal.resultOf(token)) this.#tell(token);
    else if (assign?.token === token) {
      // Its program takes a moment to die.
      this.#later(this.#world.random.between(1, 5_000), () => {
        if (this.#running !== assign) return;
        this.#running = undefined;
        this.#settle(token, cancelled);
      });
    } else if (!journal.has(token)) {
      journal.start(token, "", id);
      this.#settle(token, cancelled);
    }
  }

  #settle(token: string, ending: Ending): void {
    this.#world.timeline.trace(`${token} ends: ${ending.reason ?? ending.result}`);
    this.#boot.journal.finish(create(StepResultSchema, { ...ending, token }));
    this.#tell(token);
  }

  #tell(token: string): void {
    const value = this.#boot.journal.resultOf(token);
    if (value) this.#link?.toDaemon({ case: "result", value });
  }

  #reboot(): void {
    if (!this.#rebootAfter) return;
    this.#rebootAfter = "";
    this.#machine.restart("the agent reboots it");
  }
}

function failure(reason: string, exitCode = -1): Ending {
  return { outcome: Outcome.FAILED, reason, exitCode };
}
