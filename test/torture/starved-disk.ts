// A state directory that can no longer be written, because its disk is full or has become read-only: the daemon
// has to say so and to end with the exit code for it, and to go on from where it was when that is mended.
import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Life } from "./daemon-process.ts";
import { LoopFileSystem } from "./mounts.ts";
import type { Outcome, ScenarioOptions } from "./scenario.ts";
import { World } from "./world.ts";

const sizeMib = 96;
const workMs = 6_000;
const endLimitMs = 30_000;
/** Of daemon/state/errors.ts, as operators read them in the documentation. */
const full = { codes: [16], words: /cannot be written.*make room/ };
const readOnly = { codes: [14], words: /read-only file system.*mount it for writing/ };
/** The write that meets the fault itself may be told of an input/output error. */
const broken = { codes: [14, 16], words: /read-only file system|Input\/output error.*repair it/ };

export async function fullDisk(options: ScenarioOptions): Promise<Outcome> {
  await using disk = await LoopFileSystem.create(sizeMib);
  await using world = await createWorld(options, disk);
  await delay(workMs, undefined, { signal: options.signal });
  const filler = join(disk.directory, "filler");
  const problems: string[] = [];
  // By its own program, whose exit codes are what is looked at.
  const life = await world.restartDaemon({ asShipped: true });
  await fill(filler);
  problems.push(...(await endsWith(life, full, options)));

  // It may find room for a moment, in a file that it has begun; it must not lose anything either way.
  const meanwhile = await world.startDaemon({ asShipped: true });
  const said = (await Promise.race([meanwhile.ended, delay(3_000)]))?.said;
  options.log(
    said === undefined ? "on the full disk it starts" : `on the full disk it says: ${lastLine(said)}`,
  );
  await rm(filler);
  if (!meanwhile.hasEnded) await Promise.race([meanwhile.ended, delay(1_000)]);
  if (meanwhile.hasEnded) await world.startDaemon({ asShipped: true });
  await world.converge();
  return await world.outcome({ kills: 0, problems });
}

export async function readOnlyDisk(options: ScenarioOptions): Promise<Outcome> {
  await using disk = await LoopFileSystem.create(sizeMib);
  await using world = await createWorld(options, disk);
  await delay(workMs, undefined, { signal: options.signal });
  const life = await world.restartDaemon({ asShipped: true });
  await disk.breakDown();
  const problems = await endsWith(life, broken, options);

  await disk.repair();
  await disk.mount("ro");
  const refused = await world.startDaemon({ asShipped: true });
  problems.push(...(await endsWith(refused, readOnly, options)));
  await disk.mount("remount", "rw");
  await world.startDaemon({ asShipped: true });
  await world.converge();
  return await world.outcome({ kills: 0, problems });
}

async function createWorld(options: ScenarioOptions, disk: LoopFileSystem): Promise<World> {
  const machines = Math.min(options.agents, 6);
  const stateDir = join(disk.directory, "state");
  const world = await World.create({ ...options, machines, clusterSize: 3, stateDir });
  world.begin();
  return world;
}

/** What is not as it should be about its end. */
async function endsWith(
  life: Life,
  wanted: { codes: number[]; words: RegExp },
  { log, signal }: ScenarioOptions,
): Promise<string[]> {
  const end = await Promise.race([life.ended, delay(endLimitMs, undefined, { signal, ref: false })]);
  if (!end)
    return [`the daemon still runs ${endLimitMs / 1000} s after its state could not be written any more`];
  const last = lastLine(end.said);
  log(`it has ended with ${end.code}: ${last}`);
  const problems: string[] = [];
  if (!wanted.codes.includes(end.code ?? -1))
    problems.push(`the daemon has ended with ${end.code}, not with ${wanted.codes.join(" or ")}`);
  if (!wanted.words.test(last))
    problems.push(`the daemon does not say what is wrong and what to do: ${last}`);
  return problems;
}

/** What the daemon says to people; the rest is its log. */
function lastLine(text: string): string {
  return text.split("\n").findLast((line) => line.startsWith("muster daemon: ")) ?? "nothing";
}

/** To the last byte. */
async function fill(file: string): Promise<void> {
  for (const size of [1 << 20, 4096, 1]) {
    await new Promise<void>((resolve) => {
      const stream = createWriteStream(file, { flags: "a" });
      const next = () => stream.write(Buffer.alloc(size), (error) => (error ? undefined : next()));
      stream.on("error", () => stream.destroy());
      stream.on("close", resolve);
      next();
    });
  }
}
