// One world from one seed: a daemon, machines, a network and an operator, and everything that goes wrong. It
// ends when the operator has what was asked for, or when time is up, which is a violation.
import type { Assign } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Books } from "./books.ts";
import { scheduleFaults } from "./chaos.ts";
import { DaemonProcess } from "./daemon.ts";
import type { WriteFate } from "./disk.ts";
import { type CrashPoint, drawFaults, type Faults } from "./faults.ts";
import { Invariants } from "./invariants.ts";
import { Machine } from "./machine.ts";
import { Network } from "./network.ts";
import { type Goal, Operator } from "./operator.ts";
import { PowerPlant } from "./power.ts";
import { Random } from "./random.ts";
import { Timeline } from "./timeline.ts";

/** Long enough, without faults, for the slowest time-outs to pass and for retries after them. */
const recoveryMs = 6 * 3_600_000;
/** After the last fault, what they have broken may need some retries, each for another step. */
const retryLimit = 8;
/** For what is under way when all is done: sessions that come back, logs, acknowledgements. */
const settlingMs = 120_000;

export type WorldOptions = {
  seed: number;
  nodes?: number;
  /** Drawn from the seed if absent. */
  faults?: Faults;
  goals?: readonly Goal[];
  taskRetries?: number;
  /** Whether the machines are declared, and have power drivers. */
  declares?: boolean;
  drivers?: boolean;
  /** `NODE/TASK`: its first attempt fails; that of a bootstrap, because the power driver does. */
  failing?: string;
  /** The daemon dies at this commit, counted from 1. */
  crashAt?: { commit: number; point: CrashPoint };
  /** An agent dies at this write to a journal, counted from 1. */
  journalFate?: { write: number; fate: WriteFate };
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
  journalWrites: number;
  endMs: number;
};

export class World {
  readonly random: Random;
  readonly timeline = new Timeline();
  readonly machines = new Map<string, Machine>();
  readonly faults: Faults;
  readonly books = new Books();
  readonly invariants = new Invariants(this);
  readonly network = new Network(this);
  readonly power = new PowerPlant(this);
  readonly daemon = new DaemonProcess(this);
  readonly operator: Operator;
  readonly #options: WorldOptions;
  #failing: WorldOptions["failing"];
  #crashAt: WorldOptions["crashAt"];
  #journalWrites = 0;
  readonly #startMs = this.timeline.nowMs;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#failing = options.failing;
    this.#crashAt = options.crashAt;
    this.random = new Random(options.seed);
    const nodes = options.nodes ?? drawNodes(this.random);
    this.faults = options.faults ?? drawFaults(this.random, nodes);
    const taskRetries = options.taskRetries ?? this.random.between(0, 2);
    const goals = options.goals ?? drawGoals(this.random, nodes);
    const declares = options.declares ?? this.random.chance(0.8);
    const drivers = options.drivers ?? this.random.chance(0.8);
    this.operator = new Operator(this, { taskRetries, goals, declares });
    for (let index = 1; index <= nodes; index++) {
      const machine = new Machine(this, index, { declared: declares, hasDriver: declares && drivers });
      this.machines.set(machine.name, machine);
    }
  }

  /** Whether things still go wrong. */
  get faulty(): boolean {
    return this.timeline.nowMs < this.#startMs + this.faults.lastMs;
  }

  async run(): Promise<Outcome> {
    const { timeline, invariants, operator } = this;
    scheduleFaults(this);
    await this.daemon.start();
    operator.work();
    const untilMs = this.#startMs + this.faults.lastMs + recoveryMs;
    const together = () => this.random.chance(this.faults.together);
    const over = () => invariants.violations.length > 0 || operator.retriesSince > retryLimit;
    await timeline.run(untilMs, () => over() || (operator.satisfied && !this.faulty), together);
    // After a restore a node may need more than an operator who does nothing clever.
    if (!operator.satisfied && !this.faults.restores && !invariants.violations.length) {
      invariants.violated(`it does not come to an end: ${operator.explain()}`);
    }
    const endMs = timeline.nowMs - this.#startMs;
    if (this.random.chance(0.2)) operator.forget();
    await timeline.run(timeline.nowMs + settlingMs, () => invariants.violations.length > 0, together);
    invariants.end();
    for (const { agent } of this.machines.values()) agent?.kill(true);
    return {
      seed: this.#options.seed,
      violations: invariants.violations,
      digest: timeline.digest(),
      tail: timeline.tail,
      attempts: invariants.attempts,
      retries: operator.retriesSince,
      commits: this.daemon.commits,
      journalWrites: this.#journalWrites,
      endMs,
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

  writeFate(): WriteFate {
    const { journalFate } = this.#options;
    if (++this.#journalWrites === journalFate?.write) return journalFate.fate;
    if (!this.faulty) return "good";
    if (this.random.chance(this.faults.journalFull)) return "full";
    if (!this.random.chance(this.faults.crashAtJournal)) return "good";
    return this.random.pick<WriteFate>(["dies before", "dies after", "torn"]) ?? "good";
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
}

/** Most worlds are small, so that many fit into a minute; some are as large as clusters are. */
function drawNodes(random: Random): number {
  if (random.chance(0.003)) return random.between(200, 400);
  return random.chance(0.015) ? random.between(20, 60) : random.between(1, 4);
}

function drawGoals(random: Random, nodes: number): readonly Goal[] {
  const all: (readonly Goal[])[] = [
    ["deploy"],
    ["deploy"],
    ["deploy"],
    ["deploy", "change"],
    ["deploy", "release"],
  ];
  const long: (readonly Goal[])[] = [
    ["deploy", "deploy"],
    ["deploy", "release", "deploy"],
    ["deploy", "change", "change"],
  ];
  return random.pick(nodes > 10 ? all : [...all, ...long]) ?? ["deploy"];
}

export function simulate(options: WorldOptions): Promise<Outcome> {
  return new World(options).run();
}
