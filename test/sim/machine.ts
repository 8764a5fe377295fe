// One machine: its power, what it boots, and what is on its disk. It knows nothing of deployments.
import { bootAnswer } from "../../daemon/domain/join.ts";
import { BootTarget, Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { AgentProcess } from "./agent.ts";
import { type Disk, emptyDisk } from "./disk.ts";
import { JournalRecord } from "./journal.ts";
import type { World } from "./world.ts";

/** One boot of an operating system, until the next loss of power or restart. */
export type Boot = { id: string; environment: Environment; key: string; journal: JournalRecord };

export class Machine {
  readonly name: string;
  readonly mac: string;
  readonly #world: World;
  on = false;
  bootsFirst: BootTarget = BootTarget.RAMDISK;
  disk: Disk = emptyDisk();
  agent: AgentProcess | undefined;
  #boot: Boot | undefined;
  #boots = 0;
  /** Counts up with every loss of power and restart. */
  #generation = 0;

  constructor(world: World, name: string, index: number) {
    this.#world = world;
    this.name = name;
    this.mac = `52:54:00:00:00:${index.toString(16).padStart(2, "0")}`;
  }

  get boot(): Boot | undefined {
    return this.#boot;
  }

  switchOn(): void {
    if (this.on) return;
    this.on = true;
    this.#world.timeline.trace(`${this.name} is switched on`);
    this.#start();
  }

  switchOff(why: string): void {
    if (!this.on) return;
    this.#world.timeline.trace(`${this.name} is off: ${why}`);
    this.on = false;
    this.#stop();
  }

  restart(why: string): void {
    if (!this.on) return;
    this.#world.timeline.trace(`${this.name} restarts: ${why}`);
    this.#stop();
    this.#start();
  }

  /** The agent's process dies; whatever watches over it starts it again. */
  killAgent(why: string): void {
    const boot = this.#boot;
    if (!boot || !this.agent) return;
    this.#world.timeline.trace(`${this.name}'s agent dies: ${why}`);
    this.agent.kill(true);
    this.agent = undefined;
    const { timeline, random } = this.#world;
    timeline.after(random.between(1_000, 5_000), () => {
      if (this.#boot === boot && !this.agent) this.#startAgent(boot);
    });
  }

  #stop(): void {
    this.#generation++;
    this.agent?.kill(false);
    this.agent = undefined;
    this.#boot = undefined;
  }

  #start(): void {
    const generation = this.#generation;
    const { timeline, random } = this.#world;
    const then = (leastMs: number, mostMs: number, next: () => void) =>
      timeline.after(random.between(leastMs, mostMs), () => {
        if (this.#generation === generation && this.on) next();
      });
    const firmware = () => {
      const target = this.#choose();
      timeline.trace(`${this.name} boots ${target ?? "nothing"}`);
      if (target === undefined) then(10_000, 20_000, firmware);
      else then(5_000, 30_000, () => this.#up(target));
    };
    then(3_000, 40_000, firmware);
  }

  /** The firmware goes through its boot order; the network's answer may be to go on with the disk. */
  #choose(): Environment | undefined {
    const disk = this.disk.imaged && this.disk.bootloader ? Environment.INSTALLED : undefined;
    if (this.bootsFirst === BootTarget.DISK && disk) return disk;
    const { daemon, network } = this.#world;
    const state = network.isUp(this.name) ? daemon.life?.engine.state : undefined;
    const question = { mac: this.mac, uuid: "", platform: "efi", address: "" };
    const answer = state ? bootAnswer(state, question) : "nobody";
    return answer === "ramdisk" ? Environment.BOOTSTRAP : disk;
  }

  #up(environment: Environment): void {
    const id = `${this.name}-boot-${++this.#boots}`;
    const ramdisk = environment === Environment.BOOTSTRAP;
    const boot = ramdisk
      ? { id, environment, key: `key-${id}`, journal: new JournalRecord() }
      : { id, environment, key: this.disk.key, journal: this.disk.journal };
    this.#boot = boot;
    this.#startAgent(boot);
  }

  #startAgent(boot: Boot): void {
    this.agent = new AgentProcess(this.#world, this, boot);
    this.agent.start();
  }
}
