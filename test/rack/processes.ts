// The processes that a rack has started, on record, so that a later command can end exactly these and no
// others: a pid alone may belong to somebody else by then.
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export type ProcessRecord = {
  name: string;
  pid: number;
  /** Since the machine booted, in clock ticks, as a string: with the pid it names one process for ever. */
  startTime: string;
};

/** Undefined if there is no such process. */
export function recordOf(name: string, pid: number): ProcessRecord | undefined {
  const startTime = startTimeOf(pid);
  return startTime ? { name, pid, startTime } : undefined;
}

/** Whether that very process runs, and its command line names the directory (if one is given). */
export function isRunning(record: ProcessRecord, directory: string): boolean {
  if (startTimeOf(record.pid) !== record.startTime) return false;
  return !directory || namesDirectory(commandLine(record.pid), directory);
}

/** Whether the directory or something in it stands on a command line. */
export function namesDirectory(command: string, directory: string): boolean {
  return command.includes(`${directory}/`) || `${command} `.includes(`${directory} `);
}

function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in brackets, may hold anything; the state is the first field after it. Z is dead already.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** Pids whose network namespace is that of the file (/run/netns/NAME). */
export function pidsInNamespace(inode: bigint): number[] {
  const link = `net:[${inode}]`;
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return readlinkSync(`/proc/${pid}/ns/net`) === link;
      } catch {
        return false;
      }
    });
}

/** Asks the process to end, then makes it. Does nothing if the record is of a process that has gone. */
export async function stopProcess(record: ProcessRecord, directory: string, graceMs: number): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (!isRunning(record, directory)) return;
    try {
      process.kill(record.pid, signal);
    } catch {
      return; // gone between the look and the kill
    }
    const deadline = Date.now() + (signal === "SIGTERM" ? graceMs : 5_000);
    while (Date.now() < deadline && isRunning(record, directory)) await sleep(50);
  }
  if (isRunning(record, directory))
    throw new Error(`${record.name} (pid ${record.pid}) does not end, even when killed`);
}

/** The records of one rack, kept in a file that is replaced as a whole. */
export class ProcessBook {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  list(): ProcessRecord[] {
    try {
      return JSON.parse(readFileSync(this.#file, "utf8")) as ProcessRecord[];
    } catch {
      return [];
    }
  }

  get(name: string): ProcessRecord | undefined {
    return this.list().find((record) => record.name === name);
  }

  put(record: ProcessRecord): void {
    this.#write([...this.list().filter(({ name }) => name !== record.name), record]);
  }

  #write(records: ProcessRecord[]): void {
    writeFileSync(`${this.#file}.new`, JSON.stringify(records, null, 1));
    renameSync(`${this.#file}.new`, this.#file);
  }
}

/**
 * Starts a program that does not outlive this process, not even when this process is killed with -9: the
 * kernel then sends it `deathSignal`. It has its own process group, so that Ctrl-C does not reach it.
 */
export function spawnBound(
  argv: readonly string[],
  options: { deathSignal: "KILL" | "TERM"; logFile: string; env?: Record<string, string> },
): ChildProcess {
  const log = openSync(options.logFile, "a");
  try {
    return spawn("setpriv", ["--pdeathsig", options.deathSignal, "--", ...argv], {
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...options.env },
    });
  } finally {
    closeSync(log);
  }
}
