// A daemon and real agents on machines that count as deployed, and what it costs to have them do tasks.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { BenchDaemon, freePorts, joinSecrets } from "./bench-daemon.ts";
import { allOnline, type Place, prepare } from "./control-daemon.ts";
import { clusterName } from "./fixture.ts";
import { Fleet } from "./fleet.ts";

const limitMs = 600_000;
const call = { timeoutMs: limitMs };

/** `cpuSeconds`: of all sides together, the daemon, the agents and what they start; `daemonSeconds` is its share. */
export type Spent = { seconds: number; cpuSeconds: number; daemonSeconds?: number };

export class TaskWorld implements AsyncDisposable {
  readonly #directory: string;
  readonly #fleet: Fleet;
  readonly #daemon: BenchDaemon;

  private constructor(directory: string, fleet: Fleet, daemon: BenchDaemon) {
    this.#directory = directory;
    this.#fleet = fleet;
    this.#daemon = daemon;
  }

  /** Agents that only speak the protocol go through the deployment of the systems; then real ones take over. */
  static async start(agents: number): Promise<TaskWorld> {
    const directory = await mkdtemp(path.join(tmpdir(), "muster-bench-"));
    const [http = 0, enroll = 0, agent = 0] = await freePorts();
    const place: Place = { directory, ports: { http, enroll, agent } };
    const fleet = new Fleet(agents);
    await prepare(place, fleet);
    const stateDir = path.join(directory, "state");
    const daemon = await BenchDaemon.start(stateDir, place.ports, []);
    const world = new TaskWorld(directory, fleet, daemon);
    const address = `127.0.0.1:${agent}`;
    const { caPem } = joinSecrets(stateDir);
    await fleet.open({ kind: "muster", address, caPem, spreadMs: agents });
    await fleet.whole(limitMs);
    await world.deploy([]);
    await fleet.close();
    await fleet.start({ address, caPem, directory: path.join(directory, "agents") });
    await allOnline(daemon, agents);
    return world;
  }

  async apply(content: string): Promise<void> {
    await this.#daemon.clusters.apply({ files: [{ path: "bench.yaml", content }] }, call);
  }

  /** From the start of a deployment to its success. */
  async deploy(graphs: string[]): Promise<Spent> {
    const { deployments } = this.#daemon;
    const request = { cluster: clusterName, graphs };
    const { plan } = await deployments.planCluster(request, call);
    return this.#measured(async () => {
      const { deployment } = await deployments.startDeployment({ ...request, planHash: plan?.hash }, call);
      const name = deployment?.name ?? "";
      const timeout = { seconds: BigInt(limitMs / 1000) };
      const { deployment: ended, done } = await deployments.waitDeployment(
        { name, timeout },
        { timeoutMs: limitMs + 10_000 },
      );
      if (!done || ended?.reason) throw new Error(`${name} has not succeeded: ${ended?.reason}`);
    });
  }

  /** Every agent runs a command, so many times one after the other. */
  async run(argv: string[], rounds: number): Promise<Spent> {
    return this.#measured(async () => {
      for (let round = 0; round < rounds; round++) await this.#round(argv);
    });
  }

  async #round(argv: string[]): Promise<void> {
    let good = 0;
    for await (const { message } of this.#daemon.runs.run({ selectors: ["*"], argv }, call)) {
      if (message.case !== "ended") continue;
      if (message.value.exitCode || message.value.reason)
        throw new Error(`${message.value.node}: ${message.value.reason || message.value.exitCode}`);
      good++;
    }
    if (good !== this.#fleet.size) throw new Error(`${good} of ${this.#fleet.size} agents have answered`);
  }

  async #measured(work: () => Promise<void>): Promise<Spent> {
    const own = () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    };
    const cpu = () => [this.#daemon.process.cpuSeconds, this.#fleet.cpuSeconds + own()] as const;
    const [daemon, others] = cpu();
    const begin = performance.now();
    await work();
    const seconds = (performance.now() - begin) / 1000;
    const [daemonAfter, othersAfter] = cpu();
    const daemonSeconds = daemonAfter - daemon;
    return { seconds, cpuSeconds: daemonSeconds + othersAfter - others, daemonSeconds };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fleet[Symbol.asyncDispose]();
    await this.#daemon[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
