// `npm start`: takes a rack of powered-off machines to a configured cluster, and shows it. With --once it
// checks the result by itself, prints a summary and ends with 0 if all is right.
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import type { Plan } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { applyManifests, buildImages, consoleOf, joinNodes, registerImage } from "./bring-up.ts";
import { demoCluster, demoManifests } from "./demo-manifests.ts";
import { assertSucceeded, followDeployment, planCluster, startDeployment } from "./deployment.ts";
import { checkTaskLogs } from "./first-light-logs.ts";
import { planRack, type RackOptions } from "./layout.ts";
import { lines } from "./lines.ts";
import { muster, musterInTerminal } from "./muster.ts";
import { Operator } from "./operator.ts";
import { Rack } from "./rack.ts";
import { onShutdown } from "./shutdown.ts";
import { freshStateDirectory } from "./state-directory.ts";
import { summaryLines } from "./summary.ts";
import { type Evidence, findFaults } from "./verify.ts";

const deployLimitMs = 25 * 60_000;
const loginLimitMs = 90_000;

type Flags = { once: boolean; keep: boolean };
type Run = { rackOptions: RackOptions; flags: Flags; signal: AbortSignal };

async function firstLight(run: Run): Promise<void> {
  const { rackOptions, signal } = run;
  const { stateDir } = rackOptions;
  lines(`state directory: ${stateDir}`);
  lines("images: building what is not built");
  const imageDirectory = await buildImages({ stateDir, signal, log: lines });
  lines(`rack: ${rackOptions.nodes} machines`);
  const rack = await Rack.up(rackOptions, (line) => lines(`  ${line}`), signal);
  try {
    await deployOn(run, imageDirectory);
  } finally {
    if (run.flags.keep) lines("the rack stays up until this process is ended (--keep)");
    if (run.flags.keep && !signal.aborted) await untilAborted(signal);
    lines("taking the rack down");
    await rack.down();
  }
}

async function deployOn(run: Run, imageDirectory: string): Promise<void> {
  const { rackOptions, flags, signal } = run;
  const { stateDir } = rackOptions;
  using operator = new Operator(stateDir);
  lines("image: handing it to the daemon");
  await registerImage(operator, imageDirectory, lines);
  lines("manifests: examples/first-light");
  await applyManifests(operator, demoManifests(rackOptions.nodes), lines);
  lines("machines: power on, network boot, approval");
  const joined = await joinNodes(operator, rackOptions, { log: lines, signal });
  lines(`plan: what deploying ${demoCluster} destroys and creates`);
  await muster(["plan", demoCluster], { stateDir, signal, log: lines });
  const plan = await planCluster(operator, demoCluster);
  const name = await startDeployment(operator, plan);
  lines(`deployment ${name} has started`);
  if (!flags.once && process.stdout.isTTY && process.stdin.isTTY) return musterInTerminal([], stateDir);
  const ended = await followDeployment(operator, name, { log: lines, signal, limitMs: deployLimitMs });
  assertSucceeded(ended);
  await verify(operator, run, { plan, joined, steps: ended.steps });
}

async function verify(
  operator: Operator,
  { rackOptions, signal }: Run,
  { plan, joined, steps }: { plan: Plan; joined: Node[]; steps: Evidence["steps"] },
): Promise<void> {
  lines("checking what came out of it");
  const deadline = Date.now() + loginLimitMs;
  while (true) {
    const { nodes } = await operator.nodes.listNodes({});
    const faults = findFaults({
      plan,
      nodes,
      steps,
      bootstrapBootIds: new Map(joined.map(({ name, bootId }) => [name, bootId])),
      consoles: new Map(planRack(rackOptions).map((machine) => [machine.name, consoleOf(machine)])),
    });
    // The login prompt may come a little after the agent.
    if (faults.length && Date.now() < deadline) {
      await sleep(1_000, undefined, { signal });
      continue;
    }
    faults.push(...(await checkTaskLogs(operator, plan, signal)));
    console.log(`\n${summaryLines(plan, nodes, steps).join("\n")}\n`);
    if (faults.length) throw new Error(`not as planned:\n${faults.map((fault) => `  ${fault}`).join("\n")}`);
    return lines(
      "every node booted from its own mirrored disks, under its own name; every task ran in its turn",
    );
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  const alive = setInterval(() => {}, 1 << 30);
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => {
      clearInterval(alive);
      resolve();
    });
  });
}

const flags = new Command("npm start --")
  .description("deploys the cluster demo on a virtual rack")
  .option("--once", "no TUI: check the result, print a summary and end", false)
  .option("--nodes <n>", "machines in the rack: one controller, the others computes", Number, 3)
  .option("--memory <MiB>", "of each machine", Number, 1024)
  .option("--keep", "leave the rack up until this process is interrupted", false)
  .parse()
  .opts<Flags & { nodes: number; memory: number }>();
const { signal } = onShutdown();
const started = Date.now();
try {
  const rackOptions: RackOptions = {
    stateDir: freshStateDirectory(),
    nodes: flags.nodes,
    uefi: flags.nodes > 1 ? 1 : 0,
    memoryMib: flags.memory,
    diskSize: "6G",
    keepDisks: false,
  };
  await firstLight({ rackOptions, flags, signal });
} catch (error) {
  const reason = signal.aborted ? signal.reason : error;
  console.error(`first light failed: ${reason instanceof Error ? reason.message : String(reason)}`);
  process.exitCode = 1;
}
lines(`total time: ${Math.round((Date.now() - started) / 1000)} s`);
