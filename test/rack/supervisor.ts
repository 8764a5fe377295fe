// `muster lab up` from the command line: the rack's supervisor is a process of its own that outlives the
// command. This shows its log until the rack is up.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { labDirectory, type RackOptions } from "./layout.ts";
import { onShutdown } from "./shutdown.ts";

const readyLine = "the rack is up\n";

export async function superviseDetached(options: RackOptions): Promise<void> {
  const { signal } = onShutdown();
  mkdirSync(labDirectory(options.stateDir), { recursive: true });
  const logFile = path.join(labDirectory(options.stateDir), "supervisor.log");
  let shown = existsSync(logFile) ? readFileSync(logFile, "utf8").length : 0;
  const child = start(options, logFile);
  const before = shown;
  while (true) {
    const ended = child.exitCode !== null || child.signalCode !== null;
    const text = readFileSync(logFile, "utf8");
    process.stdout.write(text.slice(shown));
    shown = text.length;
    if (text.slice(before).endsWith(readyLine)) break;
    if (ended) throw new Error("the rack did not come up; the reason is above");
    // It takes down what is up, and then ends.
    if (signal.aborted) child.kill("SIGTERM");
    await sleep(100);
  }
  child.unref();
}

function start(options: RackOptions, logFile: string): ChildProcess {
  const flags = [
    ...["--nodes", String(options.nodes), "--uefi", String(options.uefi)],
    ...["--memory", String(options.memoryMib), "--disk-size", options.diskSize],
    ...["--state-dir", options.stateDir, ...(options.keepDisks ? ["--keep-disks"] : [])],
  ];
  const log = openSync(logFile, "a");
  try {
    return spawn(process.execPath, [path.join(import.meta.dirname, "lab.ts"), "supervise", ...flags], {
      detached: true,
      stdio: ["ignore", log, log],
    });
  } finally {
    closeSync(log);
  }
}
