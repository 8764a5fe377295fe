// The whole rack: its network, its machines, its daemon, and their end. Whoever calls up() is the rack's
// supervisor; when it is gone, down() from any process clears what it left.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Accelerator, chooseAccelerator } from "./accelerator.ts";
import { ensureDaemon } from "./daemon-process.ts";
import {
  labDirectory,
  type MachineLayout,
  namespace,
  nodeManifests,
  planRack,
  type RackOptions,
} from "./layout.ts";
import { Machine, prepareDisks, qemuArguments } from "./machine.ts";
import { networkDown, networkExists, networkUp } from "./network.ts";
import { Operator } from "./operator.ts";
import { isRunning, ProcessBook, type ProcessRecord, recordOf, stopProcess } from "./processes.ts";

export type Log = (line: string) => void;

/** Who holds the one rack of this host. */
export type Owner = {
  stateDir: string;
  supervisor: ProcessRecord;
  options: RackOptions;
  accelerator?: Accelerator;
};

const ownerFile = `/run/${namespace}.json`;

export class Rack {
  readonly machines: Machine[];
  readonly #log: Log;

  constructor(machines: Machine[], log: Log) {
    this.machines = machines;
    this.#log = log;
  }

  /** Brings everything up, or takes all of it down again and throws. */
  static async up(options: RackOptions, log: Log, signal: AbortSignal): Promise<Rack> {
    assertRoot();
    const layouts = planRack(options);
    await claim(options, log);
    const started: Machine[] = [];
    try {
      const accelerator = await build(options, layouts, log, signal);
      const book = processBook(options.stateDir);
      for (const layout of layouts) {
        const argv = (now: MachineLayout) => qemuArguments(now, accelerator, options.memoryMib);
        const machine = new Machine(layout, argv, book, log);
        started.push(machine);
        await machine.start(signal);
        log(`${layout.name}: ${layout.firmware}, ${layout.mac}, console in ${layout.serialFile}`);
      }
      const fresh = await ensureDaemon(options.stateDir, book, signal);
      log(
        fresh ? "the daemon runs inside the rack's network" : "a daemon answers already; it is used as it is",
      );
      await declareNodes(options.stateDir, layouts);
      signal.throwIfAborted();
      return new Rack(started, log);
    } catch (error) {
      for (const machine of started) machine.letGo();
      await clear(options, log);
      throw error;
    }
  }

  async down(): Promise<void> {
    for (const machine of this.machines) machine.letGo();
    const owner = readOwner();
    if (owner) await clear(owner.options, this.#log);
  }
}

export function readOwner(): Owner | undefined {
  try {
    return JSON.parse(readFileSync(ownerFile, "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

export function supervisorRuns(owner: Owner): boolean {
  // Its command line may be anything (a test runner's, for one): pid and start time alone must do.
  return isRunning(owner.supervisor, "");
}

export function processBook(stateDir: string): ProcessBook {
  return new ProcessBook(path.join(labDirectory(stateDir), "processes.json"));
}

/** Removes everything of a rack whose supervisor has gone, or is about to. Can be repeated. */
export async function clear(options: RackOptions, log: Log): Promise<void> {
  const { stateDir } = options;
  const records = processBook(stateDir).list();
  // The daemon first, so that it does not report the machines as lost.
  for (const record of records.filter(({ name }) => name === "daemon"))
    await stopProcess(record, stateDir, 10_000);
  await Promise.all(records.map((record) => stopProcess(record, stateDir, 3_000)));
  await networkDown(stateDir, log);
  const disposable = options.keepDisks ? /\.(qmp|rack)$/ : /\.(qmp|rack|qcow2|vars)$/;
  for (const file of labFiles(stateDir)) if (disposable.test(file)) rmSync(file, { force: true });
  rmSync(path.join(labDirectory(stateDir), "processes.json"), { force: true });
  rmSync(ownerFile, { force: true });
}

/** There is one rack per host: its network has a name of its own. */
async function claim(options: RackOptions, log: Log): Promise<void> {
  const owner = readOwner();
  if (owner && supervisorRuns(owner)) {
    throw new Error(
      `a rack is up already (pid ${owner.supervisor.pid}, ${owner.stateDir}); end it with \`muster lab down\``,
    );
  }
  if (owner) {
    log(`clearing what an earlier rack has left (${owner.stateDir})`);
    await clear(owner.options, log);
  }
  if (networkExists()) await networkDown(options.stateDir, log);
  const supervisor = recordOf("supervisor", process.pid);
  if (!supervisor) throw new Error("cannot read /proc: the rack needs it to keep track of its processes");
  mkdirSync(labDirectory(options.stateDir), { recursive: true });
  // The old consoles belong to machines that are no more.
  for (const file of labFiles(options.stateDir)) if (/\.(serial|qemu\.log)$/.test(file)) rmSync(file);
  writeOwner({ stateDir: options.stateDir, supervisor, options });
}

async function build(
  options: RackOptions,
  layouts: MachineLayout[],
  log: Log,
  signal: AbortSignal,
): Promise<Accelerator> {
  await networkUp(layouts);
  for (const layout of layouts) await prepareDisks(layout, options.diskSize);
  signal.throwIfAborted();
  const accelerator = await chooseAccelerator(options.stateDir, signal);
  log(`machines run with ${accelerator.name.toUpperCase()}: ${accelerator.why}`);
  const owner = readOwner();
  if (owner) writeOwner({ ...owner, accelerator });
  return accelerator;
}

async function declareNodes(stateDir: string, layouts: MachineLayout[]): Promise<void> {
  const file = path.join(labDirectory(stateDir), "nodes.yaml");
  const content = nodeManifests(layouts);
  writeFileSync(file, content);
  using operator = new Operator(stateDir);
  await operator.clusters.apply({ files: [{ path: file, content }] });
}

function writeOwner(owner: Owner): void {
  writeFileSync(ownerFile, JSON.stringify(owner, null, 1));
}

function labFiles(stateDir: string): string[] {
  try {
    return readdirSync(labDirectory(stateDir)).map((name) => path.join(labDirectory(stateDir), name));
  } catch {
    return [];
  }
}

function assertRoot(): void {
  if (process.getuid?.() !== 0) {
    throw new Error("the rack needs root for its network namespace and taps; run it with sudo");
  }
}
