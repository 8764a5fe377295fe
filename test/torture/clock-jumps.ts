// The daemon's clock is set a day forward and a day back in the middle of deployments, as a time server does with a
// machine whose battery is empty. Nobody is ill, so nothing may fail, and nothing may wait for the lost day.
import { writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Outcome, ScenarioOptions } from "./scenario.ts";
import { World } from "./world.ts";

const dayMs = 86_400_000;
/** Each is a setting of the clock while a deployment runs; the last is the way back. */
const offsetsMs = [dayMs, 0, -dayMs, 0];
/** Long enough for what the daemon looks at every few seconds. */
const watchMs = 8_000;

export async function clockJumps(options: ScenarioOptions): Promise<Outcome> {
  const { signal, log } = options;
  const machines = Math.min(options.agents, 6);
  await using world = await World.create({ ...options, machines, clusterSize: 3 });
  world.operator.calm();
  world.begin();
  await world.converge();
  for (const offsetMs of offsetsMs) {
    for (const minder of world.operator.minders) minder.again();
    await delay(world.random.between(1_000, 4_000), undefined, { signal });
    writeFileSync(world.daemon.clockFile, `${offsetMs}`);
    await delay(watchMs, undefined, { signal });
    await world.converge();
    log(`the daemon's clock is set to ${offsetMs / dayMs} days off: all is deployed`);
  }
  // A daemon that starts with a clock behind what it has stored.
  writeFileSync(world.daemon.clockFile, `${-dayMs}`);
  await world.restartDaemon();
  for (const minder of world.operator.minders) minder.again();
  await world.converge();
  log("a daemon that starts a day behind its own records deploys all");
  return await world.outcome({ kills: 0, problems: await world.failures() });
}
