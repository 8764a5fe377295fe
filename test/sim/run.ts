// `node test/sim/run.ts --seeds N [--seed S] [--nodes K] [--jobs J]`: simulates N worlds, the first from seed S, in
// J processes, and prints of each that breaks a rule what led to it.
import { fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { type Outcome, simulate } from "./world.ts";

type Totals = { worlds: number; violations: number; attempts: number; commits: number; simulatedMs: number };

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    nodes: { type: "string" },
    jobs: { type: "string", default: `${availableParallelism()}` },
    // Of the processes that this one starts: every so manieth seed.
    every: { type: "string" },
  },
});
const seeds = Number(values.seeds);
const first = Number(values.seed);
const nodes = values.nodes === undefined ? undefined : Number(values.nodes);
const jobs = Math.min(Number(values.jobs), seeds);
if (![seeds, first, nodes ?? 1, jobs].every((value) => Number.isInteger(value) && value > 0)) {
  throw new Error("--seeds, --seed, --nodes and --jobs are whole numbers from 1 on");
}

if (values.every === undefined) await runAll();
else process.send?.(await runSome(Number(values.every)));

async function runAll(): Promise<void> {
  const startMs = performance.now();
  const parts = await Promise.all(Array.from({ length: jobs }, (_, job) => startJob(first + job)));
  const sum = (count: (part: Totals) => number) => parts.reduce((total, part) => total + count(part), 0);
  const tookS = (performance.now() - startMs) / 1000;
  const violations = sum((part) => part.violations);
  const hours = (sum((part) => part.simulatedMs) / 3_600_000).toFixed(0);
  console.log(
    `${seeds} worlds in ${tookS.toFixed(1)} s (${(seeds / tookS).toFixed(1)} a second): ` +
      `${hours} simulated hours, ${sum((part) => part.attempts)} attempts, ${sum((part) => part.commits)} commits`,
  );
  console.log(`RESULT ${JSON.stringify({ seeds: sum((part) => part.worlds), violations })}`);
  if (violations) process.exitCode = 1;
}

/** A process that dies without a word has broken a rule too. */
async function startJob(seed: number): Promise<Totals> {
  const args = ["--seeds", `${first + seeds - seed}`, "--seed", `${seed}`, "--every", `${jobs}`];
  if (nodes !== undefined) args.push("--nodes", `${nodes}`);
  const child = fork(import.meta.filename, args);
  let totals: Totals = { worlds: 0, violations: 1, attempts: 0, commits: 0, simulatedMs: 0 };
  child.on("message", (message) => {
    totals = message as Totals;
  });
  await once(child, "exit");
  return totals;
}

async function runSome(step: number): Promise<Totals> {
  const totals = { worlds: 0, violations: 0, attempts: 0, commits: 0, simulatedMs: 0 };
  for (let seed = first; seed < first + seeds; seed += step) {
    const outcome = await simulate({ seed, nodes });
    if (outcome.violations.length) print(outcome);
    totals.worlds++;
    totals.violations += outcome.violations.length;
    totals.attempts += outcome.attempts;
    totals.commits += outcome.commits;
    totals.simulatedMs += outcome.endMs;
  }
  return totals;
}

function print({ seed, violations, tail }: Outcome): void {
  const size = nodes === undefined ? "" : ` --nodes ${nodes}`;
  const replay = `seed ${seed}: npm run sim -- --seeds 1 --seed ${seed}${size}`;
  console.log(
    [replay, ...tail.map((line) => `  ${line}`), ...violations.map((text) => `  => ${text}`)].join("\n"),
  );
}
