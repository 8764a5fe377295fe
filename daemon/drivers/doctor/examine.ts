// `muster doctor`: all checks one after another, or those that are named. A check that breaks is a finding too.
import { certificates } from "./certificates.ts";
import type { Check, Surroundings, Verdict } from "./check.ts";
import { skipped } from "./check.ts";
import { clock } from "./clock.ts";
import { databaseSize } from "./database-size.ts";
import { dhcpServers } from "./dhcp-servers.ts";
import { diskSpace } from "./disk-space.ts";
import { fileLimits } from "./file-limits.ts";
import { images } from "./images.ts";
import { memory } from "./memory.ts";
import { ports } from "./ports.ts";

const checks: Check[] = [
  ports,
  dhcpServers,
  diskSpace,
  databaseSize,
  images,
  clock,
  certificates,
  fileLimits,
  memory,
];

export const checkNames: readonly string[] = checks.map(({ name }) => name);

export type Finding = Verdict & { check: string };

/** `names`: of checks; all if empty. Those that are named look at everything, however long it takes. */
export async function* examine(
  surroundings: Surroundings,
  names: readonly string[],
): AsyncGenerator<Finding, void, undefined> {
  for (const { name, run } of checks) {
    if (names.length > 0 && !names.includes(name)) continue;
    for (const verdict of await attempt(run, surroundings, names.includes(name)))
      yield { check: name, ...verdict };
  }
}

async function attempt(run: Check["run"], surroundings: Surroundings, thorough: boolean): Promise<Verdict[]> {
  try {
    return await run(surroundings, thorough);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return [
      skipped(`the check could not be made: ${cause}`, "see whether the daemon may read what is named"),
    ];
  }
}
