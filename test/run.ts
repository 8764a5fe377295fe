// `npm test`: every check and every test, stage by stage, within one budget of time. Stops at the first stage
// that fails. The last line it prints is `N passed, N failed`.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

type Stage = { name: string; argv: string[]; vitest?: boolean };
type Count = { passed: number; failed: number };
type VitestReport = { numPassedTests: number; numFailedTests: number };

const root = path.join(import.meta.dirname, "..");
const budgetMs = 35 * 60_000;
// What a stage gets to take down what it has up, once its time is over.
const graceMs = 30_000;

const tests = (project: string): Stage => ({
  name: `${project} tests`,
  argv: [
    "vitest",
    "run",
    "--project",
    project,
    "--reporter=default",
    "--reporter=json",
    "--disable-console-intercept",
  ],
  vitest: true,
});

const stages: Stage[] = [
  { name: "generated code", argv: ["buf", "generate"] },
  { name: "format and lint", argv: ["biome", "ci", "."] },
  { name: "types", argv: ["tsc", "-p", "."] },
  { name: "protocol lint", argv: ["buf", "lint"] },
  { name: "protocol compatibility", argv: ["node", "test/breaking.ts"] },
  tests("unit"),
  tests("agent"),
  tests("rack"),
];

const scratch = mkdtempSync(path.join(tmpdir(), "muster-test-"));
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => interrupted.abort(new Error(`interrupted by ${name}`)));
}

async function run(stage: Stage, leftMs: number): Promise<Count & { reason: string }> {
  const reportFile = path.join(scratch, "report.json");
  rmSync(reportFile, { force: true });
  const argv = stage.vitest ? [...stage.argv, `--outputFile.json=${reportFile}`] : stage.argv;
  const reason = await runProgram(argv, leftMs);
  if (!stage.vitest) return { passed: reason ? 0 : 1, failed: reason ? 1 : 0, reason };
  const { passed, failed } = readReport(reportFile);
  // A file that does not load, or a run that is cut short, fails without a failed test.
  if (reason) return { passed, failed: Math.max(failed, 1), reason };
  return passed ? { passed, failed, reason } : { passed, failed: 1, reason: "it has run no test" };
}

/** Why it failed; empty if it did not. */
function runProgram([program = "", ...args]: string[], leftMs: number): Promise<string> {
  const bin = path.join(root, "node_modules/.bin");
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  // A process group of its own: what is sent to it reaches vitest's workers as well.
  const child = spawn(path.join(bin, program), args, { cwd: root, stdio: "inherit", env, detached: true });
  const signalGroup = (name: NodeJS.Signals) => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, name);
  };
  let cut = "";
  const end = (why: string) => {
    cut ||= why;
    signalGroup("SIGTERM");
    setTimeout(() => signalGroup("SIGKILL"), graceMs).unref();
  };
  const timer = setTimeout(() => end(`the budget of ${budgetMs / 60_000} minutes is used up`), leftMs);
  const onAbort = () => end(String(interrupted.signal.reason.message));
  interrupted.signal.addEventListener("abort", onAbort);
  return new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      interrupted.signal.removeEventListener("abort", onAbort);
      resolve(cut || (code === 0 ? "" : `${program} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

function readReport(file: string): Count {
  try {
    const report = JSON.parse(readFileSync(file, "utf8")) as VitestReport;
    return { passed: report.numPassedTests, failed: report.numFailedTests };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

const started = Date.now();
const total: Count = { passed: 0, failed: 0 };
for (const stage of stages) {
  console.log(`\n== ${stage.name}`);
  const stageStarted = Date.now();
  const { passed, failed, reason } = await run(stage, budgetMs - (Date.now() - started));
  total.passed += passed;
  total.failed += failed;
  const seconds = ((Date.now() - stageStarted) / 1000).toFixed(1);
  console.log(`== ${stage.name}: ${failed ? `FAILED: ${reason}` : "passed"} (${seconds} s)`);
  if (failed) break;
}
// A rack whose test was cut short has left its network; its processes are gone with the test.
await runProgram(["node", "test/rack/lab.ts", "down"], graceMs * 2);
rmSync(scratch, { recursive: true, force: true });
process.exitCode = total.failed ? 1 : 0;
console.log(`\n${total.passed} passed, ${total.failed} failed`);
