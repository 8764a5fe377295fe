// One process of the agent on a simulated machine: the real classes, with the machine's time, disk and network.
import { create } from "@bufbuild/protobuf";
import { Attempts } from "../../node-agent/attempts.ts";
import { Backoff } from "../../node-agent/backoff.ts";
import { enroll } from "../../node-agent/enroll.ts";
import { Journal } from "../../node-agent/journal.ts";
import { noFiles } from "../../node-agent/no-files.ts";
import { Outbox } from "../../node-agent/outbox.ts";
import { type Facts, keepSession } from "../../node-agent/session.ts";
import type { Timers } from "../../node-agent/timers.ts";
import type { Assign } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Environment, FingerprintSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { inventoryOf } from "./cluster.ts";
import { SimConnection } from "./connection.ts";
import { journalDisk, type WriteFate } from "./disk.ts";
import type { Boot, Machine } from "./machine.ts";
import { simulatedCatalogue } from "./steps.ts";
import type { World } from "./world.ts";

const noImages = {
  locate: () => Promise.reject(new Error("steps are simulated")),
  report: async () => {},
};

export class AgentProcess {
  readonly #world: World;
  readonly #machine: Machine;
  readonly #boot: Boot;
  readonly #timers: Timers;
  #attempts: Attempts | undefined;
  readonly #outbox: Outbox;
  /** By token, as the network delivered them. */
  readonly #assigned = new Map<string, Assign>();
  #connection: SimConnection | undefined;
  /** Aborted when the process is dead and can do nothing: what waits for it would be kept in memory for ever. */
  readonly #over = new AbortController();
  alive = true;

  constructor(world: World, machine: Machine, boot: Boot) {
    this.#world = world;
    this.#machine = machine;
    this.#boot = boot;
    this.#timers = world.timeline.timers(
      () => this.alive,
      () => machine.clockOffsetMs,
    );
    this.#outbox = new Outbox(this.#timers);
  }

  get running(): string | undefined {
    return this.alive ? this.#attempts?.running[0] : undefined;
  }

  /** What it still has to tell the daemon. */
  get waiting(): number {
    return this.#outbox.waiting;
  }

  /** It may die of the first thing that it does, which is to settle what the process before it has left. */
  start(): void {
    const attempts = this.#open();
    this.#attempts = attempts;
    this.#timers.after(200, () => {
      this.#live(attempts).catch((error: Error) => {
        if (this.alive)
          this.#world.invariants.violated(`${this.#machine.name}'s agent has ended: ${error.stack}`);
      });
    });
  }

  /** `swiftly`: the machine lives on and closes the connection. */
  kill(swiftly: boolean): void {
    if (!this.alive) return;
    this.alive = false;
    this.#world.books.agentDied(this.#machine.name, this.#attempts?.running[0]);
    this.#connection?.break(swiftly);
    this.#over.abort();
  }

  /** What the next write to the journal comes to. */
  fate(): WriteFate {
    return this.#world.writeFate();
  }

  dies(fate: WriteFate): void {
    const why = `at a write to its journal (${fate})`;
    if (fate === "torn") this.#machine.switchOff(`it has lost power ${why}`);
    else this.#machine.killAgent(why);
  }

  #open(): Attempts {
    return new Attempts({
      journal: new Journal(journalDisk(this.#boot.journal, this)),
      outbox: this.#outbox,
      catalogue: simulatedCatalogue({
        world: this.#world,
        machine: this.#machine,
        boot: this.#boot,
        timers: this.#timers,
        begun: () => this.#begun(),
      }),
      images: noImages,
      secrets: () => () => Promise.reject(new Error("the simulator has no secrets")),
      files: () => noFiles,
      identity: { node: this.#machine.name, joinBundle: "", imageKey: "", privateKey: "", certificate: "" },
      bootId: this.#boot.id,
      reboot: async () => {
        if (this.alive) this.#machine.restart("the agent reboots it");
      },
      print: (line) => this.#print(line),
      timers: this.#timers,
    });
  }

  async #live(attempts: Attempts): Promise<void> {
    const { random } = this.#world;
    const boot = this.#boot;
    // The same ramdisk keeps its certificate when the agent is started again.
    if (!boot.certificate) boot.certificate = await this.#enroll();
    const session = {
      connect: () => this.#connect(),
      facts: async () => this.#facts(),
      inventory: async () => inventoryOf(this.#machine),
      outbox: this.#outbox,
      attempts,
      print: (line: string) => this.#print(line),
      signal: this.#over.signal,
      timers: this.#timers,
      backoff: new Backoff(() => random.next()),
    };
    while ((await keepSession(session)) === "refused") {
      if (boot.environment === Environment.BOOTSTRAP) boot.certificate = await this.#enroll();
    }
  }

  async #enroll(): Promise<string> {
    const { random } = this.#world;
    const { certificate } = await enroll({
      connect: () => this.#connect(),
      bundle: { joinToken: "token", enrollAddress: "daemon" },
      csr: `key-${this.#boot.id}`,
      fingerprint: create(FingerprintSchema, { macs: [this.#machine.mac] }),
      inventory: inventoryOf(this.#machine),
      print: (line) => this.#print(line),
      signal: this.#over.signal,
      timers: this.#timers,
      backoff: new Backoff(() => random.next()),
    });
    return certificate;
  }

  #connect(): SimConnection {
    this.#connection = new SimConnection(this.#world, this.#machine.name, this.#boot.certificate, {
      alive: () => this.alive,
      assigned: (assign) => this.#assigned.set(assign.token, assign),
    });
    return this.#connection;
  }

  #begun(): Assign {
    const assign = this.#assigned.get(this.#attempts?.running[0] ?? "");
    if (!assign) throw new Error("a step has begun that nobody assigned");
    return assign;
  }

  #facts(): Facts {
    const { environment, id: bootId } = this.#boot;
    const { disk, mac } = this.#machine;
    const { hostname, rootDevice, imageDigest } = disk;
    const installed = { bootId, hostname, rootDevice, imageDigest };
    return {
      environment,
      bootId,
      agentVersion: "simulated",
      fingerprint: { macs: [mac] },
      installed: environment === Environment.INSTALLED ? installed : undefined,
      address: "192.0.2.1",
    };
  }

  #print(line: string): void {
    if (this.alive) this.#world.timeline.trace(`${this.#machine.name}'s agent: ${line}`);
  }
}
