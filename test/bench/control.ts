// How many agents one daemon carries, and what each costs: the real daemon and its agents over mutual TLS, against
// a bare grpc-js server with as many streams, one after the other on the same machine.

import { readFileSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { freePorts } from "./bench-daemon.ts";
import { killChildren } from "./children.ts";
import { measureDaemon, prepare } from "./control-daemon.ts";
import { measurePeer } from "./control-peer.ts";
import { report } from "./control-report.ts";
import { Fleet } from "./fleet.ts";

/** Runs the whole bench; true if every figure is within its bar. */
export async function control(argv: string[]): Promise<boolean> {
  const { agents, profile } = options(argv);
  checkFileLimit(agents);
  const directory = await mkdtemp(path.join(tmpdir(), "muster-bench-"));
  const interrupted = () => {
    killChildren();
    rmSync(directory, { recursive: true, force: true });
    process.exit(130);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, interrupted);
  try {
    const [http = 0, enroll = 0, agent = 0, raw = 0] = await freePorts();
    const place = { directory, ports: { http, enroll, agent }, profile };
    await using fleet = new Fleet(agents);
    await prepare(place, fleet);
    const before = await measurePeer(place, fleet, raw);
    const daemon = await measureDaemon(place, fleet);
    const after = await measurePeer(place, fleet, raw);
    return report(agents, daemon, [before, after]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The daemon has a socket for every agent. */
function checkFileLimit(agents: number): void {
  const [, limit] = /^Max open files +\d+ +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  if (Number(limit) >= agents + 500) return;
  const needed = `${agents} agents need ${agents + 500} open files, a process may have ${limit}`;
  throw new Error(`${needed}: raise the hard limit (LimitNOFILE, ulimit -Hn) or take fewer --agents`);
}

function options(argv: string[]): { agents: number; profile?: string } {
  const program = new Command("npm run bench -- control")
    .option("--agents <n>", "how many agents", count, 5000)
    .option("--profile <dir>", "write a CPU profile of each of the daemon's phases");
  return program.parse(argv, { from: "user" }).opts();
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 4) return value;
  throw new InvalidArgumentError("it is a whole number, at least 4");
}
