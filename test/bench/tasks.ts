// `npm run bench -- tasks [--rounds N] [--only GROUP,…] [--astute CHECKOUT]`: what a task on a node costs, all sides
// together, against what people use, in turns in one run. Needs Debian's ansible-core, ansible-mitogen, mcollective,
// mcollective-client, rabbitmq-server, ruby-stomp, and for the scheduler a checkout of fuel-astute.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { killChildren } from "./children.ts";
import { MCollective } from "./mcollective.ts";
import { ansible, ansibleWithMitogen } from "./task-peers.ts";
import { type Spent, TaskWorld } from "./task-world.ts";
import { median, timed } from "./timed.ts";

/** The least ratio that is asked for; of `_ms`, `_us`, `_s` and `_mib`, the most. */
const bars: Record<string, { least?: number; most?: number }> = {
  cpu_ms_per_host_task: { most: 1 },
  wall_ms_per_host_task: { most: 1 },
  schedule_us_per_step_1000: { most: 50 },
  schedule_us_per_step_10000: { most: 50 },
  plan_300k_steps_s: { most: 10 },
  plan_300k_steps_mib: { most: 1024 },
  vs_ansible: { least: 100 },
  vs_ansible_wall: { least: 100 },
  vs_ansible_playbook: { least: 100 },
  vs_mitogen: { least: 30 },
};

type Figures = Record<string, number>;
type Options = { directory: string; rounds: number; astute: string };
type Side = { name: string; hostTasks: number; run(): Promise<Spent> };

const groups: Record<string, (options: Options) => Promise<Figures>> = {
  bus,
  command,
  playbook,
  schedule,
  plan,
};

/** True if every bar is met. */
export async function tasks(argv: string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: argv,
    options: {
      rounds: { type: "string", default: "3" },
      only: { type: "string", default: Object.keys(groups).join() },
      astute: { type: "string", default: "" },
    },
  });
  const directory = await mkdtemp(path.join(tmpdir(), "muster-bench-peers-"));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => {
      killChildren();
      process.exit(130);
    });
  try {
    const figures: Figures = {};
    const options = { directory, rounds: Number(values.rounds), astute: values.astute };
    for (const name of values.only.split(",")) {
      const group = groups[name];
      if (!group) throw new Error(`there is no group ${name}: one of ${Object.keys(groups).join(", ")}`);
      Object.assign(figures, await group(options));
    }
    return report(figures);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** A task that does nothing, on 30 agents, 20 times: the next when all have done the one before. */
async function bus({ directory, rounds }: Options): Promise<Figures> {
  const [agents, times] = [30, 20];
  await using world = await TaskWorld.start(agents);
  await world.apply(graphOf("rounds", times, "noop: {}", "all"));
  await using peer = await MCollective.start(directory, agents);
  const hostTasks = agents * times;
  const sides = [
    { name: "ours, durable: a deployment", hostTasks, run: () => world.deploy(["rounds"]) },
    { name: "ours, muster run: nothing", hostTasks, run: () => world.run([":"], times) },
    { name: "ours, muster run: /bin/true", hostTasks, run: () => world.run(["/bin/true"], times) },
    { name: "mcollective, /bin/true", hostTasks, run: () => peer.rounds(times) },
  ] as const;
  // All of them have been running for long when they matter.
  for (const side of sides) await side.run();
  const [deployment, nothing, , mcollective] = await inTurns("no-op, 30 agents, 20 rounds", sides, rounds);
  return {
    cpu_ms_per_host_task: deployment.cpuMs,
    wall_ms_per_host_task: deployment.wallMs,
    run_cpu_ms_per_host_task: nothing.cpuMs,
    vs_mcollective: mcollective.cpuMs / deployment.cpuMs,
  };
}

/** /bin/true on 300 hosts, once. */
async function command({ directory, rounds }: Options): Promise<Figures> {
  const hosts = 300;
  await using world = await TaskWorld.start(hosts);
  const sides = [
    { name: "ours, muster run: /bin/true", hostTasks: hosts, run: () => world.run(["/bin/true"], 1) },
    { name: "ansible, 50 forks", hostTasks: hosts, run: () => ansible(directory, { hosts, tasks: 1 }) },
  ] as const;
  const [ours, peer] = await inTurns("/bin/true on 300 hosts", sides, Math.min(rounds, 2));
  return { vs_ansible: peer.cpuMs / ours.cpuMs, vs_ansible_wall: peer.wallMs / ours.wallMs };
}

/** Twenty commands one after the other on each of 50 hosts. */
async function playbook({ directory, rounds }: Options): Promise<Figures> {
  const size = { hosts: 50, tasks: 20 };
  const hostTasks = size.hosts * size.tasks;
  await using world = await TaskWorld.start(size.hosts);
  await world.apply(graphOf("playbook", size.tasks, 'shell: { command: "true" }', "self"));
  const sides = [
    { name: "ours: a deployment of shell tasks", hostTasks, run: () => world.deploy(["playbook"]) },
    { name: "ansible, 50 forks", hostTasks, run: () => ansible(directory, size) },
    { name: "ansible with mitogen", hostTasks, run: () => ansibleWithMitogen(directory, size) },
  ] as const;
  const [ours, plain, mitogen] = await inTurns("20 commands on 50 hosts", sides, Math.min(rounds, 2));
  return { vs_ansible_playbook: plain.cpuMs / ours.cpuMs, vs_mitogen: mitogen.cpuMs / ours.cpuMs };
}

/** The engine alone, without disk and network. */
async function schedule({ rounds, astute }: Options): Promise<Figures> {
  const own: Record<number, number[]> = { 1000: [], 10000: [] };
  const peer: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [nodes, figures] of Object.entries(own))
      figures.push(Number((await timed(script("schedule.ts", nodes, 20))).stdout));
    if (astute)
      peer.push(
        Number(
          (await timed(`ruby ${path.join(import.meta.dirname, "astute-peer.rb")} ${astute} 1000 20`)).stdout,
        ),
      );
  }
  const [small, large] = [median(own[1000] ?? []), median(own[10000] ?? [])];
  say(
    `scheduling, us of CPU per step: ours ${small} at 1,000 nodes, ${large} at 10,000; Astute's ${median(peer)} at 1,000`,
  );
  return {
    schedule_us_per_step_1000: small,
    schedule_us_per_step_10000: large,
    ...(astute ? { vs_astute: median(peer) / small } : {}),
  };
}

async function plan(): Promise<Figures> {
  const { stdout } = await timed(script("plan-steps.ts", "1000", 300));
  const { seconds, mebibytes } = JSON.parse(stdout);
  return { plan_300k_steps_s: seconds, plan_300k_steps_mib: mebibytes };
}

const script = (name: string, nodes: string, tasks: number) =>
  `${process.execPath} ${path.join(import.meta.dirname, name)} ${nodes} ${tasks}`;

/** Tasks one after the other: of all nodes, or of each node by itself. */
function graphOf(name: string, count: number, action: string, order: "all" | "self"): string {
  const task = (i: number) => {
    const before = `${name}-${i - 1}`;
    const waits =
      i === 0
        ? ""
        : order === "all"
          ? `cross_depends: [{ task: ${before}, role: "*" }]`
          : `requires: [${before}]`;
    return `kind: Task\nname: ${name}-${i}\nroles: ["*"]\ngraphs: [${name}]\n${waits}\n${action}\n`;
  };
  return [`kind: Graph\nname: ${name}\n`, ...Array.from({ length: count }, (_, i) => task(i))].join("---\n");
}

type Measured = { cpuMs: number; wallMs: number };

/** Medians per host and task. */
async function inTurns<const T extends readonly Side[]>(
  title: string,
  sides: T,
  rounds: number,
): Promise<{ [K in keyof T]: Measured }> {
  const runs = sides.map((): Spent[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, side] of sides.entries()) runs[index]?.push(await side.run());
  }
  const measured = sides.map(({ hostTasks }, index) => ({
    cpuMs: (median((runs[index] ?? []).map((run) => run.cpuSeconds)) * 1000) / hostTasks,
    wallMs: (median((runs[index] ?? []).map((run) => run.seconds)) * 1000) / hostTasks,
  }));
  const rows = sides.map(({ name }, index) => {
    const { cpuMs = Number.NaN, wallMs = Number.NaN } = measured[index] ?? {};
    return `${name.padEnd(40)} ${cpuMs.toFixed(2).padStart(9)} ${wallMs.toFixed(2).padStart(9)}`;
  });
  say(
    [
      title,
      `${"per host and task".padEnd(40)} ${"CPU ms".padStart(9)} ${"wall ms".padStart(9)}`,
      ...rows,
    ].join("\n"),
  );
  return measured as { [K in keyof T]: Measured };
}

function say(text: string): void {
  process.stdout.write(`${text}\n\n`);
}

function report(figures: Figures): boolean {
  let good = true;
  for (const [name, value] of Object.entries(figures)) {
    const { least, most } = bars[name] ?? {};
    const isMet = value >= (least ?? Number.NEGATIVE_INFINITY) && value <= (most ?? Number.POSITIVE_INFINITY);
    good &&= isMet;
    const bar = least !== undefined ? `at least ${least}` : most !== undefined ? `at most ${most}` : "";
    process.stdout.write(
      `${name.padEnd(30)} ${value.toFixed(2).padStart(9)}  ${bar && `${bar}: ${isMet ? "met" : "MISSED"}`}\n`,
    );
  }
  const rounded = Object.entries(figures).map(([name, value]) => [name, Number(value.toFixed(3))] as const);
  const ratios = Object.fromEntries(rounded.filter(([name]) => name.startsWith("vs_")));
  const rest = Object.fromEntries(rounded.filter(([name]) => !name.startsWith("vs_")));
  process.stdout.write(`RESULT ${JSON.stringify({ ...rest, ratios })}\n`);
  return good;
}
