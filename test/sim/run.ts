// `node test/sim/run.ts --seeds N [--seed S] [--nodes K]`: simulates N worlds, the first from seed S, and prints
// of each that breaks a rule what led to it.
import { parseArgs } from "node:util";
import { type Outcome, simulate } from "./world.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    nodes: { type: "string" },
  },
});
const seeds = Number(values.seeds);
const first = Number(values.seed);
const nodes = values.nodes === undefined ? undefined : Number(values.nodes);
if (![seeds, first, nodes ?? 1].every((value) => Number.isInteger(value) && value > 0)) {
  throw new Error("--seeds, --seed and --nodes are whole numbers from 1 on");
}

let violations = 0;
let attempts = 0;
let commits = 0;
let simulatedMs = 0;
const startMs = performance.now();
for (let seed = first; seed < first + seeds; seed++) {
  const outcome = await simulate({ seed, nodes });
  if (outcome.violations.length) print(outcome);
  violations += outcome.violations.length;
  attempts += outcome.attempts;
  commits += outcome.commits;
  simulatedMs += outcome.endMs;
}
const tookS = (performance.now() - startMs) / 1000;
console.log(
  `${seeds} worlds in ${tookS.toFixed(1)} s (${(seeds / tookS).toFixed(1)} a second): ` +
    `${(simulatedMs / 3_600_000).toFixed(0)} simulated hours, ${attempts} attempts, ${commits} commits`,
);
console.log(`RESULT ${JSON.stringify({ seeds, violations })}`);
if (violations) process.exitCode = 1;

function print({ seed, violations, tail }: Outcome): void {
  console.log(`seed ${seed}: node test/sim/run.ts --seeds 1 --seed ${seed}`);
  for (const line of tail) console.log(`  ${line}`);
  for (const violation of violations) console.log(`  => ${violation}`);
}
