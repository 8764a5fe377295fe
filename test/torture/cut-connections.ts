// Connections between agents and the daemon that are cut at random, and a network that goes silent without closing
// anything. Nobody dies, so no step may fail or be done again.
import { setTimeout as delay } from "node:timers/promises";
import { TcpProxy } from "./proxy.ts";
import type { Outcome, ScenarioOptions } from "./scenario.ts";
import { World } from "./world.ts";

const cutEveryMs = 150;
const cutsPerAgent = 8;
const cutsLimitMs = 30_000;
/** Shorter than the daemon's patience with a session, and longer. */
const silencesMs = [25_000, 48_000];

export async function cutAtRandom(options: ScenarioOptions): Promise<Outcome> {
  await using network = await Network.create(options);
  const { world, enroll, agent } = network;
  let cuts = 0;
  const wanted = world.machines.length * cutsPerAgent;
  for (const end = performance.now() + cutsLimitMs; cuts < wanted && performance.now() < end; ) {
    await delay(world.random.between(0, 2 * cutEveryMs), undefined, { signal: options.signal });
    const proxy = world.random.chance(0.2) ? enroll : agent;
    if (!proxy.connections) continue;
    proxy.cut(world.random.between(0, proxy.connections - 1));
    cuts++;
  }
  await world.converge();
  options.log(`${cuts} connections were cut`);
  return await world.outcome({ kills: 0, problems: await world.failures() });
}

export async function goSilent(options: ScenarioOptions): Promise<Outcome> {
  await using network = await Network.create(options);
  const { world, enroll, agent } = network;
  await world.converge();
  for (const silenceMs of silencesMs) {
    for (const minder of world.operator.minders) minder.again();
    await delay(world.random.between(500, 2_500), undefined, { signal: options.signal });
    for (const proxy of [enroll, agent]) proxy.silence();
    await delay(silenceMs, undefined, { signal: options.signal });
    for (const proxy of [enroll, agent]) proxy.speak();
    await world.converge();
    options.log(`${silenceMs / 1000} s of silence in the middle of a deployment`);
  }
  return await world.outcome({ kills: 0, problems: await world.failures() });
}

/** A world whose agents reach the daemon through proxies only. */
class Network implements AsyncDisposable {
  readonly world: World;
  readonly enroll: TcpProxy;
  readonly agent: TcpProxy;

  static async create(options: ScenarioOptions): Promise<Network> {
    const machines = Math.min(options.agents, 6);
    const world = await World.create({ ...options, machines, clusterSize: 3 });
    const { enroll, agent } = world.daemon.ports;
    const network = new Network(world, await TcpProxy.to(enroll), await TcpProxy.to(agent));
    world.operator.calm();
    world.begin();
    return network;
  }

  private constructor(world: World, enroll: TcpProxy, agent: TcpProxy) {
    this.world = world;
    this.enroll = enroll;
    this.agent = agent;
    const addresses = {
      enrollAddress: `127.0.0.1:${enroll.port}`,
      agentAddress: `127.0.0.1:${agent.port}`,
    };
    world.readdress = (bundle) => JSON.stringify({ ...JSON.parse(bundle), ...addresses });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
    for (const proxy of [this.enroll, this.agent]) await proxy[Symbol.asyncDispose]();
  }
}
