// The heart of the torture: daemon and agents are killed with -9, at random moments and at every durable boundary
// of the daemon, while deployments go on; then everything has to come to its end, with nothing lost or doubled.
import { setTimeout as delay } from "node:timers/promises";
import { Random } from "../sim/random.ts";
import { boundaries, type Doom } from "./doom.ts";
import type { Outcome, ScenarioOptions } from "./scenario.ts";
import { World } from "./world.ts";

const clusterSize = 3;
const agentEveryMs = 1_500;
const lifeLimitsMs = [500, 1_000, 2_500] as const;
/** Now and then everybody is left alone, so that the next kills meet deployments at every stage. */
const rest = { chance: 0.12, ms: 7_000 };
const tellEvery = 50;
const enoughDeaths = 60;

export async function kills(options: ScenarioOptions): Promise<Outcome> {
  await using world = await World.create({ ...options, machines: options.agents, clusterSize });
  world.begin();
  const killer = new Killer(world, options);
  await killer.run();
  await world.startDaemon();
  await world.converge();
  options.log(`the daemon's deaths: ${killer.places}; ${world.operator.progress}`);
  return await world.outcome({ kills: killer.kills, problems: killer.misses });
}

class Killer {
  readonly #world: World;
  readonly #options: ScenarioOptions;
  /** Of their own: what the seed draws for one does not depend on how fast the other is. */
  readonly #daemonFate: Random;
  readonly #agentFate: Random;
  readonly #deaths = new Map<string, number>();
  #daemons = 0;
  #agents = 0;
  #told = 0;
  #isResting = false;
  #isOver = false;

  constructor(world: World, options: ScenarioOptions) {
    this.#world = world;
    this.#options = options;
    this.#daemonFate = new Random(options.seed);
    this.#agentFate = new Random(options.seed + 1);
  }

  get kills(): number {
    return this.#daemons + this.#agents;
  }

  /** How often the daemon died where. */
  get places(): string {
    return [...this.#deaths].map(([place, count]) => `${place} ${count}`).join(", ");
  }

  /** Boundaries at which no daemon has died, although enough have to hit them all. */
  get misses(): string[] {
    const missed = boundaries.filter((place) => !this.#deaths.has(place));
    return this.#daemons < enoughDeaths ? [] : missed.map((place) => `no daemon has died ${place}`);
  }

  /** Until enough have died. No daemon is left in the end. */
  async run(): Promise<void> {
    this.#world.daemon.kill();
    const agents = this.#killAgents();
    await this.#killDaemons().finally(() => {
      this.#isOver = true;
    });
    await agents;
  }

  get #isDone(): boolean {
    return this.#isOver || this.kills >= this.#options.kills;
  }

  async #killAgents(): Promise<void> {
    const fate = this.#agentFate;
    while (!this.#isDone) {
      await delay(fate.between(agentEveryMs / 4, (agentEveryMs * 7) / 4));
      if (this.#isResting) continue;
      for (let left = fate.chance(0.1) ? 4 : 1; left > 0 && !this.#isDone; left--) {
        if (fate.pick(this.#world.machines)?.killAgent()) this.#agents++;
      }
      this.#tell();
    }
  }

  async #killDaemons(): Promise<void> {
    while (!this.#isDone) {
      this.#options.signal.throwIfAborted();
      this.#isResting = this.#daemonFate.chance(rest.chance);
      const place = await (this.#isResting ? this.#liveFor(rest.ms) : this.#live());
      this.#daemons++;
      this.#deaths.set(place, (this.#deaths.get(place) ?? 0) + 1);
      this.#tell();
    }
  }

  /** A life that ends at a boundary, or where it is when its time is over. */
  async #live(): Promise<string> {
    const fate = this.#daemonFate;
    const limitMs = fate.pick(lifeLimitsMs) ?? 0;
    const at = fate.pick([...boundaries, undefined]);
    const count = fate.between(1, fate.pick([4, 20, 60]) ?? 1);
    const lagMs = fate.pick([0, 0, 1, 5, 20]) ?? 0;
    const lifeMs = fate.between(50, limitMs);
    return at ? await this.#liveFor(limitMs, { at, count, lagMs }) : await this.#liveFor(lifeMs);
  }

  /** Says where it died. */
  async #liveFor(ms: number, doom?: Doom): Promise<string> {
    const life = await this.#world.startDaemon({ doom });
    const patience = new AbortController();
    await Promise.race([life.ended, delay(ms, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    const isDoomed = life.hasEnded;
    if (!isDoomed) this.#world.daemon.kill();
    const { code, signal, said } = await life.ended;
    if (signal === "SIGKILL") return isDoomed && doom ? doom.at : "anywhere";
    throw new Error(`the daemon has ended by itself (${code}): ${said.slice(-2_000)}`);
  }

  #tell(): void {
    if (this.kills < this.#told + tellEvery) return;
    this.#told = this.kills;
    const whom = `${this.#daemons} of the daemon, ${this.#agents} of agents`;
    this.#options.log(`${this.kills} kills: ${whom}; ${this.#world.operator.progress}`);
  }
}
