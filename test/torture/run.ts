// `npm run torture -- [--kills N] [--seed S] [--agents K] [--only SCENARIO] [--keep]`: real processes, killed and starved in
// every way, and what they have lost or done twice. The seed draws who is hit when; the rest is real time.
import { parseArgs } from "node:util";
import { lines } from "../rack/lines.ts";
import { onShutdown } from "../rack/shutdown.ts";
import { clockJumps } from "./clock-jumps.ts";
import { cutAtRandom, goSilent } from "./cut-connections.ts";
import { kills } from "./kills.ts";
import type { Scenario } from "./scenario.ts";
import { fullDisk, readOnlyDisk } from "./starved-disk.ts";

const scenarios: Record<string, Scenario> = {
  kills,
  "cut-connections": cutAtRandom,
  "silent-network": goSilent,
  "clock-jumps": clockJumps,
  "full-disk": fullDisk,
  "read-only": readOnlyDisk,
};

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
    agents: { type: "string", default: "24" },
    only: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});
const wanted = Number(values.kills);
const agents = Number(values.agents);
const seed = Number(values.seed);
if (![wanted, agents, seed].every((value) => Number.isInteger(value) && value > 0)) {
  throw new Error("--kills, --agents and --seed are whole numbers from 1 on");
}
const names = Object.keys(scenarios).filter((name) => values.only === undefined || values.only === name);
if (!names.length) throw new Error(`--only is one of ${Object.keys(scenarios).join(", ")}`);

const { signal } = onShutdown();
const total = { kills: 0, lost: 0, doubled: 0 };
let problems = 0;
for (const name of names) {
  const startMs = performance.now();
  lines(`== ${name}`);
  try {
    const outcome = await scenarios[name]?.({
      seed,
      agents,
      kills: wanted,
      keep: values.keep,
      signal,
      log: lines,
    });
    if (!outcome) continue;
    total.kills += outcome.kills;
    total.lost += outcome.lost.length;
    total.doubled += outcome.doubled.length;
    problems += outcome.problems.length;
    for (const line of [...outcome.lost, ...outcome.doubled, ...outcome.problems]) lines(`  => ${line}`);
    const isWell = !outcome.lost.length && !outcome.doubled.length && !outcome.problems.length;
    lines(`== ${name}: ${isWell ? "passed" : "FAILED"} (${seconds(startMs)} s)`);
  } catch (error) {
    problems++;
    lines(`== ${name}: FAILED (${seconds(startMs)} s): ${error instanceof Error ? error.message : error}`);
  }
  if (signal.aborted) break;
}
if (names.includes("kills") && total.kills < wanted) {
  problems++;
  lines(`=> only ${total.kills} of ${wanted} kills`);
}
console.log(`RESULT ${JSON.stringify(total)}`);
process.exitCode = total.lost || total.doubled || problems ? 1 : 0;

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1000).toFixed(1);
}
