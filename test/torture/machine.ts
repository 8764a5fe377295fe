// One fake machine: its power switch and boot order behind a QMP socket, what it boots, and its agent's process.
// What it boots from the network it asks the daemon's real boot server.
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { spawnBound } from "../rack/processes.ts";
import type { Random } from "../sim/random.ts";
import type { AgentOrder } from "./agent.ts";
import { type QmpMachine, type QmpStatus, serveQmp } from "./qmp-server.ts";

export type MachineOptions = {
  name: string;
  index: number;
  /** Of all machines; this one makes its own in there. */
  directory: string;
  /** The daemon's boot server. */
  httpBase: string;
  random: Random;
  /** Changes the join bundle. */
  readdress: (bundle: string) => string;
};

const agentProgram = join(import.meta.dirname, "agent.ts");
/** As in agent.ts, which starts when it is imported. */
const rebootExitCode = 64;
const firmwareMs = [100, 500] as const;
const restartMs = [50, 400] as const;
const askAgainMs = 300;

export class Machine implements QmpMachine, AsyncDisposable {
  readonly name: string;
  readonly mac: string;
  readonly qmpSocket: string;
  readonly ledger: string;
  readonly bootIndexes = new Map([
    ["disk0", 1],
    ["nic0", 2],
  ]);
  readonly #options: MachineOptions;
  readonly #directory: string;
  readonly #disk: string;
  #status: QmpStatus = "prelaunch";
  #agent: ChildProcess | undefined;
  /** Counts up with every boot, and with every loss of power. */
  #life = 0;
  #qmp: Server | undefined;

  constructor(options: MachineOptions) {
    const { name, index, directory } = options;
    this.#options = options;
    this.name = name;
    this.mac = `52:54:00:00:00:${index.toString(16).padStart(2, "0")}`;
    this.#directory = join(directory, name);
    this.#disk = join(this.#directory, "disk");
    this.qmpSocket = join(directory, `${name}.qmp`);
    this.ledger = join(this.#directory, "ledger");
  }

  async plugIn(): Promise<void> {
    await mkdir(this.#directory, { recursive: true });
    this.#qmp = await serveQmp(this.qmpSocket, this);
  }

  get status(): QmpStatus {
    return this.#status;
  }

  cont(): void {
    if (this.#status === "running") return;
    this.#status = "running";
    this.#startBoot();
  }

  stop(): void {
    this.#status = "paused";
    this.#cut();
  }

  reset(): void {
    this.#cut();
    if (this.#status === "running") this.#startBoot();
    else this.#status = "prelaunch";
  }

  /** Kills the agent as `kill -9` does; whatever watches over it on the machine starts it again. */
  killAgent(): boolean {
    return this.#agent?.exitCode === null && this.#agent.signalCode === null && this.#agent.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await new Promise((resolve) => (this.#qmp ? this.#qmp.close(resolve) : resolve(undefined)));
  }

  #cut(): void {
    this.#life++;
    this.#agent?.kill("SIGKILL");
    this.#agent = undefined;
  }

  #startBoot(): void {
    const life = ++this.#life;
    const isOn = () => life === this.#life;
    this.#boot(isOn).catch((error: unknown) => {
      if (isOn()) throw error;
    });
  }

  async #boot(isOn: () => boolean): Promise<void> {
    const { random, name, index } = this.#options;
    await delay(random.between(...firmwareMs));
    const root = await this.#choose(isOn);
    if (!isOn() || root === undefined) return;
    const { mac, ledger } = this;
    const bootId = `${name}-${this.#life}`;
    const seed = this.#life * 1000 + index;
    this.#startAgent({ root, disk: this.#disk, ledger, bootId, mac, seed }, isOn);
  }

  #startAgent(order: AgentOrder, isOn: () => boolean): void {
    const argv = [process.execPath, agentProgram, JSON.stringify(order)];
    const logFile = join(this.#directory, "agent.txt");
    // Halves what a start costs, and there are many.
    const env = { NODE_COMPILE_CACHE: join(this.#options.directory, "compiled") };
    const agent = spawnBound(argv, { deathSignal: "KILL", logFile, env });
    this.#agent = agent;
    agent.on("exit", async (code) => {
      if (!isOn() || this.#agent !== agent) return;
      if (code === rebootExitCode) return this.reset();
      await delay(this.#options.random.between(...restartMs));
      if (isOn()) this.#startAgent(order, isOn);
    });
  }

  /** The root folder of the system that boots; asks until something does. */
  async #choose(isOn: () => boolean): Promise<string | undefined> {
    while (isOn()) {
      const isBootable = existsSync(join(this.#disk, "bootable"));
      const networkFirst = (this.bootIndexes.get("nic0") ?? 0) < (this.bootIndexes.get("disk0") ?? 0);
      if (isBootable && !networkFirst) return this.#disk;
      const script = await this.#fetch("node.ipxe").then(String, () => "");
      if (isBootable && script.includes("boots from its own disk")) return this.#disk;
      if (script.includes("boots the bootstrap ramdisk")) {
        const root = await this.#loadRamdisk(isOn).catch(() => undefined);
        if (root !== undefined) return root;
      }
      await delay(askAgainMs);
    }
    return undefined;
  }

  /** A fresh one: of an earlier boot's ramdisk nothing is left. */
  async #loadRamdisk(isOn: () => boolean): Promise<string | undefined> {
    const archive = gunzipSync(await this.#fetch("join.img")).toString("latin1");
    const bundle = /\{"enrollAddress".*?\}(?=\0|$|0707)/s.exec(archive)?.[0];
    if (bundle === undefined || !isOn()) return undefined;
    const root = join(this.#directory, `ramdisk-${this.#life}`);
    await rm(join(this.#directory, `ramdisk-${this.#life - 1}`), { recursive: true, force: true });
    await mkdir(join(root, "etc/muster"), { recursive: true });
    await writeFile(join(root, "etc/muster/bootstrap"), "");
    await writeFile(join(root, "etc/muster/join.json"), this.#options.readdress(bundle));
    return root;
  }

  async #fetch(file: string): Promise<Buffer> {
    const query = `mac=${this.mac.replaceAll(":", "-")}&platform=pcbios`;
    const signal = AbortSignal.timeout(5_000);
    const response = await fetch(`${this.#options.httpBase}/${file}?${query}`, { signal });
    if (!response.ok) throw new Error(`${file}: ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  }
}
