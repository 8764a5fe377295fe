// Everything that one scenario tortures: a daemon, machines, an operator and a witness, in a folder of their own.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Random } from "../sim/random.ts";
import { type Api, listAll, look } from "./api.ts";
import { DaemonProcess, freePorts, type Life } from "./daemon-process.ts";
import { writeImage } from "./image.ts";
import { judge, readLedger, type Verdict } from "./ledger.ts";
import { Machine } from "./machine.ts";
import { manifests } from "./manifests.ts";
import { Operator } from "./operator.ts";
import type { Outcome, ScenarioOptions } from "./scenario.ts";
import { Witness } from "./witness.ts";

export type WorldOptions = Omit<ScenarioOptions, "agents" | "kills"> & {
  machines: number;
  clusterSize: number;
  /** Where the state is kept; a folder of the world's own if absent. */
  stateDir?: string;
};

const firstPort = 21_000;
const reachLimitMs = 150_000;
/** Until the end of a killed process is known. */
const endMs = 5_000;

export class World implements AsyncDisposable {
  readonly random: Random;
  readonly directory: string;
  readonly daemon: DaemonProcess;
  readonly machines: Machine[];
  readonly witness = new Witness();
  readonly operator: Operator;
  readonly options: WorldOptions;
  clusters: string[] = [];
  /** Changes the addresses in what machines boot, such as to those of a proxy. */
  readdress: (bundle: string) => string = (bundle) => bundle;

  static async create(options: WorldOptions): Promise<World> {
    // Worlds of other processes look for ports at the same time.
    const ports = await freePorts(firstPort + ((process.pid * 16) % 10_000));
    // Short: the path of a socket has at most 107 bytes.
    const directory = await mkdtemp(join(tmpdir(), "muster-torture-"));
    await using undo = new AsyncDisposableStack();
    const stateDir = options.stateDir ?? join(directory, "state");
    const world = undo.use(new World(directory, new DaemonProcess(directory, stateDir, ports), options));
    await world.#prepare();
    undo.move();
    return world;
  }

  private constructor(directory: string, daemon: DaemonProcess, options: WorldOptions) {
    const random = new Random(options.seed);
    this.directory = directory;
    this.random = random;
    this.daemon = daemon;
    this.options = options;
    this.machines = Array.from(
      { length: options.machines },
      (_, i) =>
        new Machine({
          name: `n${i + 1}`,
          index: i + 1,
          directory,
          httpBase: daemon.httpBase,
          random,
          readdress: (bundle) => this.readdress(bundle),
        }),
    );
    this.operator = new Operator(this.witness, random, options.signal);
  }

  /** Switches the machines on and lets the operator work. */
  begin(): void {
    for (const machine of this.machines) machine.cont();
    const nodes = this.machines.map(({ name }) => name);
    this.operator.start(this.clusters, nodes);
  }

  /** Starts the daemon; the operator goes on when everything acknowledged was looked for. */
  async startDaemon(how: Parameters<DaemonProcess["start"]>[0] = {}): Promise<Life> {
    const life = await this.daemon.start(how);
    try {
      if (!life.hasEnded) this.witness.compare(await look(life.api));
    } catch (error) {
      // It has been killed under our eyes: the next life is looked at.
      await Promise.race([life.ended, delay(endMs)]);
      if (!life.hasEnded) throw error;
    }
    if (!life.hasEnded) this.operator.turnTo(life);
    return life;
  }

  /** Kills the daemon and starts another, which has to live. */
  async restartDaemon(how: Parameters<DaemonProcess["start"]>[0] = {}): Promise<Life> {
    this.daemon.kill();
    const life = await this.startDaemon(how);
    if (life.hasEnded) throw new Error(`the daemon does not start: ${(await life.ended).said.slice(-2_000)}`);
    return life;
  }

  /** Waits until every cluster has a deployment that has succeeded; throws with what is open. */
  async converge(): Promise<void> {
    this.operator.calm();
    const deadline = performance.now() + reachLimitMs;
    while (!this.operator.isContent(this.clusters)) {
      this.options.signal.throwIfAborted();
      const { life } = this.daemon;
      if (life?.hasEnded)
        throw new Error(`the daemon has ended by itself: ${(await life.ended).said.slice(-2_000)}`);
      if (performance.now() > deadline) {
        throw new Error(
          `not everything is deployed ${reachLimitMs / 1000} s after the last fault:\n${this.operator.explain()}`,
        );
      }
      await delay(200);
    }
  }

  /** What has failed or was tried again, in a world in which nobody died. */
  async failures(): Promise<string[]> {
    const { items } = await listAll(this.#api.deployments.listAttempts, ({ attempts }) => attempts);
    const failed = items.filter(({ state, number }) => state !== Step_State.SUCCEEDED || number > 1);
    return failed.map(({ name, reason }) => `${name}: ${reason || "is not the first"}`);
  }

  /** The last word, after one more restart. */
  async outcome(found: { kills: number; problems: string[] }): Promise<Outcome> {
    const oddities = await this.#inspect();
    const verdict = this.#verdict();
    const { witness, operator } = this;
    this.options.log(
      `${witness.acknowledged} acknowledged changes; ${verdict.destructive} destructive of ${verdict.steps} steps`,
    );
    return {
      kills: found.kills,
      lost: witness.lost,
      doubled: verdict.doubled,
      problems: [...found.problems, ...operator.problems, ...oddities, ...verdict.repeated],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.operator.leave();
    await Promise.all(this.machines.map((machine) => machine[Symbol.asyncDispose]()));
    await this.daemon[Symbol.asyncDispose]();
    const { keep, log } = this.options;
    if (keep) log(`logs, ledgers and state are kept in ${this.directory}`);
    else await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  get #api(): Api {
    const { life } = this.daemon;
    if (!life) throw new Error("the daemon was never started");
    return life.api;
  }

  /** What the ledgers of all machines say. */
  #verdict(): Verdict {
    const parts = this.machines.map(({ name, ledger }) => judge(name, readLedger(ledger)));
    return {
      steps: parts.reduce((sum, { steps }) => sum + steps, 0),
      destructive: parts.reduce((sum, { destructive }) => sum + destructive, 0),
      doubled: parts.flatMap(({ doubled }) => doubled),
      repeated: parts.flatMap(({ repeated }) => repeated),
      acknowledged: parts.flatMap(({ acknowledged }) => acknowledged),
    };
  }

  /** What the state lacks, or has too much of. */
  async #inspect(): Promise<string[]> {
    const { deployments } = (await this.restartDaemon()).api;
    const { items: stored } = await listAll(deployments.listDeployments, (page) => page.deployments);
    const started = this.operator.minders.flatMap((minder) => [...minder.started]);
    const unasked = stored.filter(({ name }) => !started.includes(name));
    const { items: attempts } = await listAll(deployments.listAttempts, (page) => page.attempts);
    const ended = new Set(attempts.filter(({ endTime }) => endTime).map(({ name }) => name));
    const forgotten = this.#verdict().acknowledged.filter((token) => !ended.has(token));
    return [
      ...unasked.map(({ name }) => `${name} was started, but nobody was told so`),
      ...forgotten.map((token) => `the outcome of ${token} was acknowledged, but the history has none`),
    ];
  }

  async #prepare(): Promise<void> {
    const { stateDir } = this.daemon;
    const image = join(this.directory, "image");
    await mkdir(image);
    await writeImage(image);
    await mkdir(join(stateDir, "boot"), { recursive: true });
    // The boot server only asks whether they are there.
    for (const file of ["vmlinuz", "initrd.img"]) await writeFile(join(stateDir, "boot", file), "");
    for (const machine of this.machines) await machine.plugIn();
    const first = await this.daemon.start();
    if (first.hasEnded) throw new Error(`the daemon does not start: ${(await first.ended).said}`);
    const { api } = first;
    const { text, clusters } = manifests(this.machines, this.options.clusterSize);
    await api.images.registerImage({ directory: image });
    await api.clusters.apply({ files: [{ path: "torture.yaml", content: text }] });
    this.clusters = clusters;
    await this.restartDaemon();
    this.options.log(
      `${this.machines.length} machines in ${clusters.length} clusters, below ${this.directory}`,
    );
  }
}
