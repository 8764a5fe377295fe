// One world from one seed: a daemon, machines, a network and an operator, and everything that goes wrong. It
// ends when the operator has what was asked for, or when time is up, which is a violation.
import type { Assign } from "../../proto/gen/muster/v1/agent_pb.ts";
import { DaemonProcess } from "./daemon.ts";
import { type CrashPoint, drawFaults, type Faults } from "./faults.ts";
import { Invariants } from "./invariants.ts";
import { Network } from "./link.ts";
import { Machine } from "./machine.ts";
import { Operator } from "./operator.ts";
import { PowerPlant } from "./power.ts";
import { Random } from "./random.ts";
import { Timeline } from "./timeline.ts";

/** Long enough, without faults, for the slowest time-outs to pass and for retries after them. */
const recoveryMs = 4 * 3_600_000;
/** After the last fault, what they have broken may need some retries, each for another step. */
const retryLimit = 6;

export type WorldOptions = {
  seed: number;
  nodes?: number;
  /** Drawn from the seed if absent. */
  faults?: Faults;
  deployments?: number;
  taskRetries?: number;
  /** `NODE/TASK`: its first attempt fails; that of a bootstrap, because the power driver does. */
  failing?: string;
  /** The daemon dies at this commit, counted from 1. */
  crashAt?: { commit: number; point: CrashPoint };
};

export type Outcome = {
  seed: number;
  violations: string[];
  digest: string;
  tail: string[];
  /** What agents have begun, and how often the operator pressed retry after the last fault. */
  attempts: number;
  retries: number;
  commits: number;
  endMs: number;
};

export class World {
  readonly random: Random;
  readonly timeline = new Timeline();
  readonly machines = new Map<string, Machine>();
  readonly faults: Faults;
  readonly invariants = new Invariants(this);
  readonly network = new Network(this);
  readonly power = new PowerPlant(this);
  readonly daemon = new DaemonProcess(this);
  readonly operator: Operator;
  readonly #seed: number;
  #failing: WorldOptions["failing"];
  #crashAt: WorldOptions["crashAt"];
  readonly #startMs = this.timeline.nowMs;

  constructor(options: WorldOptions) {
    this.#failing = options.failing;
    this.#crashAt = options.crashAt;
    this.#seed = options.seed;
    this.random = new Random(options.seed);
    const nodes = options.nodes ?? this.random.between(1, 4);
    this.faults = options.faults ?? drawFaults(this.random, nodes);
    const taskRetries = options.taskRetries ?? this.random.between(0, 2);
    const deployments = options.deployments ?? (this.random.chance(0.25) ? 2 : 1);
    this.operator = new Operator(this, { taskRetries, deployments });
    for (let index = 1; index <= nodes; index++) {
      this.machines.set(`n${index}`, new Machine(this, `n${index}`, index));
    }
  }

  /** Whether things still go wrong. */
  get faulty(): boolean {
    return this.timeline.nowMs < this.#startMs + this.faults.lastMs;
  }

  async run(): Promise<Outcome> {
    const { timeline, invariants, operator } = this;
    this.#scheduleFaults();
    await this.daemon.start();
    operator.work();
    const untilMs = this.#startMs + this.faults.lastMs + recoveryMs;
    const over = () => invariants.violations.length > 0 || operator.retriesSince > retryLimit;
    const done = () => over() || (operator.satisfied && !this.faulty);
    await timeline.run(untilMs, done, () => this.random.chance(this.faults.together));
    if (!operator.satisfied && !invariants.violations.length) {
      invariants.violated(`it does not come to an end: ${operator.explain()}`);
    }
    return {
      seed: this.#seed,
      violations: invariants.violations,
      digest: timeline.digest(),
      tail: timeline.tail,
      attempts: invariants.attempts,
      retries: operator.retriesSince,
      commits: this.daemon.commits,
      endMs: timeline.nowMs - this.#startMs,
    };
  }

  daemonDies(point: CrashPoint): boolean {
    const commit = this.daemon.commits + (point === "before the write" ? 1 : 0);
    if (this.#crashAt?.point === point && this.#crashAt.commit === commit) {
      this.#crashAt = undefined;
      return true;
    }
    return this.faulty && this.random.chance(this.faults.crashAtCommit);
  }

  stepFails({ step }: Assign): boolean {
    return this.#failsOnce(step) || (this.faulty && this.random.chance(this.faults.stepFails));
  }

  powerFails(node: string): boolean {
    return (
      this.#failsOnce(`${node}/bootstrap`) || (this.faulty && this.random.chance(this.faults.powerError))
    );
  }

  #failsOnce(step: string): boolean {
    const fails = this.#failing !== undefined && `/${step}`.endsWith(`/${this.#failing}`);
    if (fails) this.#failing = undefined;
    return fails;
  }

  #scheduleFaults(): void {
    const { random, faults, network } = this;
    const each = (count: number, work: (machine: Machine) => void) => {
      for (let i = 0; i < count; i++) {
        this.timeline.after(random.between(0, faults.lastMs), () => {
          const machine = random.pick([...this.machines.values()]);
          if (machine) work(machine);
        });
      }
    };
    each(faults.daemonCrashes, () => this.daemon.crash("at any time"));
    each(faults.agentCrashes, (machine) => machine.killAgent("for no reason"));
    each(faults.powerLosses, (machine) => machine.switchOff("it has lost power"));
    each(faults.resets, (machine) => machine.restart("somebody has pressed reset"));
    each(faults.cuts, ({ name }) => this.daemon.life?.links.get(name)?.break(random.chance(0.5)));
    each(faults.partitions, ({ name }) => {
      const lengthMs = random.between(500, random.chance(0.3) ? 120_000 : 10_000);
      network.partition(name, lengthMs);
      if (lengthMs > 15_000) this.daemon.life?.links.get(name)?.break(false);
    });
    each(faults.stops, () => this.operator.stop());
  }
}

export function simulate(options: WorldOptions): Promise<Outcome> {
  return new World(options).run();
}
