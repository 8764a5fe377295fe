// `muster lab`: the verbs of the virtual rack.
import { mkdirSync, realpathSync } from "node:fs";
import path from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { printConsole } from "./console.ts";
import type { RackOptions } from "./layout.ts";
import { lines } from "./lines.ts";
import { isRunning, stopProcess } from "./processes.ts";
import { clear, processBook, Rack, readOwner, supervisorRuns } from "./rack.ts";
import { onShutdown } from "./shutdown.ts";
import { printStatus } from "./status.ts";
import { superviseDetached } from "./supervisor.ts";

const defaultStateDir = process.env.MUSTER_STATE_DIR ?? "/var/lib/muster";

type UpFlags = {
  nodes: number;
  uefi?: number;
  memory: number;
  diskSize: string;
  stateDir: string;
  keepDisks: boolean;
};

const program = new Command("muster lab")
  .description("a virtual rack: QEMU machines on a network of their own, beside a daemon")
  .exitOverride();

for (const verb of ["up", "supervise"]) {
  program
    .command(verb, { hidden: verb === "supervise" })
    .description("bring up machines, all powered off, and a daemon that knows them")
    .option("--nodes <n>", "how many machines", wholeNumber, 3)
    .option(
      "--uefi <n>",
      "how many of them, the last ones, have UEFI firmware; 1 of several if absent",
      wholeNumber,
    )
    .option("--memory <MiB>", "of each machine", wholeNumber, 1024)
    .option("--disk-size <size>", "of each of their two disks", diskSize, "6G")
    .option("--state-dir <dir>", "the daemon's", defaultStateDir)
    .option("--keep-disks", "do not delete the disks at the end", false)
    .action((flags: UpFlags) =>
      verb === "up" ? superviseDetached(rackOptions(flags)) : supervise(rackOptions(flags)),
    );
}
program.command("down").description("end the rack and leave nothing behind").action(down);
program
  .command("status")
  .description("show the rack and its machines")
  .action(() => printStatus(rackThatIsUp()));
program
  .command("kill")
  .argument("<node>")
  .description("pull a machine's plug: it stands by again, powered off")
  .action(kill);
program
  .command("console")
  .argument("<node>")
  .description("show what a machine has written to its serial port")
  .option("-f, --follow", "go on until interrupted", false)
  .action((node: string, { follow }: { follow: boolean }) => printConsole(rackThatIsUp(), node, follow));

/** The rack's supervisor: this process, until it is told to end. */
async function supervise(options: RackOptions): Promise<void> {
  const { signal, requested } = onShutdown();
  const rack = await Rack.up(options, lines, signal);
  lines("the rack is up");
  // Signals alone do not keep Node running.
  const alive = setInterval(() => {}, 1 << 30);
  await requested;
  clearInterval(alive);
  lines("taking the rack down");
  await rack.down();
}

async function down(): Promise<void> {
  const owner = readOwner();
  if (!owner) return lines("no rack is up");
  // Its supervisor knows best how to end; what it leaves, if it hangs or was killed, is cleared here.
  await stopProcess(owner.supervisor, "", 40_000);
  await clear(owner.options, lines);
  lines("the rack is down; nothing of it is left");
}

function kill(node: string): void {
  const owner = rackThatIsUp();
  const record = processBook(owner.stateDir).get(node);
  if (!record || node === "daemon")
    throw new Error(`the rack has no machine ${node}; see \`muster lab status\``);
  if (!isRunning(record, owner.stateDir)) throw new Error(`${node} has no power as it is`);
  process.kill(record.pid, "SIGKILL");
  lines(`${node}: plug pulled`);
}

function rackThatIsUp() {
  const owner = readOwner();
  if (!owner || !supervisorRuns(owner)) throw new Error("no rack is up; start one with `muster lab up`");
  return owner;
}

function rackOptions(flags: UpFlags): RackOptions {
  mkdirSync(flags.stateDir, { recursive: true });
  return {
    stateDir: realpathSync(path.resolve(flags.stateDir)),
    nodes: flags.nodes,
    uefi: Math.min(flags.uefi ?? (flags.nodes > 1 ? 1 : 0), flags.nodes),
    memoryMib: flags.memory,
    diskSize: flags.diskSize,
    keepDisks: flags.keepDisks,
  };
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("it is a whole number");
  return Number(text);
}

function diskSize(text: string): string {
  if (!/^\d+[MG]$/.test(text)) throw new InvalidArgumentError("it is a whole number with M or G, such as 6G");
  return text;
}

try {
  await program.parseAsync();
} catch (error) {
  const shown = error instanceof Error && "code" in error && String(error.code).startsWith("commander.");
  if (!shown) console.error(`muster lab: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = shown && "exitCode" in error ? Number(error.exitCode) : 1;
}
