// One machine: its power, what it boots, and what is on its disk. It knows nothing of deployments.
import { bootAnswer, discover } from "../../daemon/domain/join.ts";
import { BootTarget, Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { AgentProcess } from "./agent.ts";
import { type Disk, emptyDisk, type Files } from "./disk.ts";
import type { World } from "./world.ts";

/** One boot of an operating system, until the next loss of power or restart. `certificate`: "NODE KEY". */
export type Boot = { id: string; environment: Environment; certificate: string; journal: Files };

export class Machine {
  /** Of its node, as it is declared, or as it is named when nobody has. */
  readonly name: string;
  readonly mac: string;
  readonly hasDriver: boolean;
  readonly #world: World;
  on = false;
  bootsFirst: BootTarget = BootTarget.RAMDISK;
  disk: Disk = emptyDisk();
  agent: AgentProcess | undefined;
  clockOffsetMs = 0;
  #boot: Boot | undefined;
  #boots = 0;
  /** Counts up with every loss of power and restart. */
  #generation = 0;

  constructor(world: World, index: number, options: { declared: boolean; hasDriver: boolean }) {
    this.#world = world;
    this.mac = `52:54:00:00:${hex(index >> 8)}:${hex(index & 255)}`;
    this.name = options.declared ? `n${index}` : `node-${this.mac.replaceAll(":", "")}`;
    this.hasDriver = options.hasDriver;
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
    const disk = this.disk.imageDigest && this.disk.bootloader ? Environment.INSTALLED : undefined;
    if (this.bootsFirst === BootTarget.DISK && disk) return disk;
    const { daemon, network } = this.#world;
    const state = network.isUp(this.name) ? daemon.life?.engine.state : undefined;
    if (!state) return disk;
    const question = { mac: this.mac, uuid: "", platform: "efi", address: "" };
    const answer = bootAnswer(state, question);
    if (answer === "unknown") daemon.decide((decision) => discover(decision, question));
    return answer === "disk" ? disk : Environment.BOOTSTRAP;
  }

  #up(environment: Environment): void {
    const id = `${this.name}-boot-${++this.#boots}`;
    const ramdisk = environment === Environment.BOOTSTRAP;
    this.#boot = ramdisk
      ? { id, environment, certificate: "", journal: new Map() }
      : { id, environment, certificate: this.disk.certificate, journal: this.disk.journal };
    this.#startAgent(this.#boot);
  }

  #startAgent(boot: Boot): void {
    this.agent = new AgentProcess(this.#world, this, boot);
    this.agent.start();
  }
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
