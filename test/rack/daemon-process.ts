// The daemon of a rack: it runs inside the rack's network; its operator socket is reachable from outside.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bridge, dhcpRange, hostAddress, operatorSocket } from "./layout.ts";
import { inNamespace } from "./network.ts";
import { Operator } from "./operator.ts";
import { type ProcessBook, recordOf, spawnBound } from "./processes.ts";

const launcher = path.join(import.meta.dirname, "../../bin/muster");
const startLimitMs = 30_000;

/** Starts one if none answers. Says whether it did. */
export async function ensureDaemon(
  stateDir: string,
  book: ProcessBook,
  signal: AbortSignal,
): Promise<boolean> {
  if (existsSync(operatorSocket(stateDir)) && (await daemonAnswers(stateDir))) return false;
  const logFile = path.join(stateDir, "daemon.log");
  const boot = ["--boot-interface", bridge, "--boot-range", dhcpRange, "--address", hostAddress];
  const argv = inNamespace([launcher, "daemon", "--state-dir", stateDir, ...boot]);
  // TERM, not KILL: it has a dnsmasq of its own to end.
  const child = spawnBound(argv, { deathSignal: "TERM", logFile });
  let failure: string | undefined;
  child.on("error", (error) => {
    failure = error.message;
  });
  const record = child.pid === undefined ? undefined : recordOf("daemon", child.pid);
  if (record) book.put(record);
  const deadline = Date.now() + startLimitMs;
  while (!(await daemonAnswers(stateDir))) {
    signal.throwIfAborted();
    if (child.exitCode !== null) failure ??= `it ended with exit code ${child.exitCode}`;
    if (Date.now() > deadline) failure ??= `it does not answer on ${operatorSocket(stateDir)}`;
    if (failure)
      throw new Error(`the daemon did not start: ${failure}\n${lastLines(logFile)}(more in ${logFile})`);
    await sleep(100);
  }
  return true;
}

async function daemonAnswers(stateDir: string): Promise<boolean> {
  // A new connection every time: gRPC waits longer and longer before it tries a refused one again.
  using operator = new Operator(stateDir);
  // Awaited here: on return the connection is closed.
  return await operator.answers();
}

function lastLines(file: string): string {
  try {
    const lines = readFileSync(file, "utf8").trim().split("\n").slice(-12);
    return lines.map((line) => `  ${line}\n`).join("");
  } catch {
    return "";
  }
}
