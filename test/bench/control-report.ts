// What is said of the figures, and the bar that they are held to.
import { setTimeout as sleep } from "node:timers/promises";
import type { Child } from "./children.ts";
import type { DaemonFigures } from "./control-daemon.ts";
import type { PeerFigures } from "./control-peer.ts";

/** Both sides are measured with this interval, whatever the daemon asks of its agents. */
export const heartbeatMs = 10_000;
/** All have beaten once by then, and what connecting has left behind is done. */
export const settleMs = 12_000;
export const startLimitMs = 180_000;
const cpuWindowMs = 20_000;
/** How far from bare grpc-js the daemon may be. */
const bar = 1.5;

/** Agents that are switched on do not all arrive at once. */
export const spreadMs = (agents: number) => agents;

export function say(who: string, what: string): void {
  process.stdout.write(`${who}: ${what}\n`);
}

/** Of one core, over the next while. */
export async function cpuPercent(child: Child): Promise<number> {
  const [cpu, begin] = [child.cpuSeconds, performance.now()];
  await sleep(cpuWindowMs);
  return ((child.cpuSeconds - cpu) / (performance.now() - begin)) * 100_000;
}

export function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Prints the comparison and the result; true if all is within the bar. */
export function report(agents: number, daemon: DaemonFigures, peers: PeerFigures[]): boolean {
  const peer = (figure: (one: PeerFigures) => number) =>
    peers.reduce((total, one) => total + figure(one), 0) / peers.length;
  const rows: [string, number, number][] = [
    ["memory per agent, KB", daemon.rssKb, peer(({ rssKb }) => rssKb)],
    ["CPU with heartbeats, %", daemon.cpu, peer(({ cpu }) => cpu)],
    ["no-op on all, ms", daemon.noopMs, peer(({ broadcastMs }) => broadcastMs)],
    ["whole after kill -9, ms", daemon.recoverMs, peer(({ recoverMs }) => recoverMs)],
  ];
  let good = daemon.lost === 0;
  for (const [what, ours, theirs] of rows) {
    const ratio = ours / theirs;
    if (!(ratio <= bar)) good = false;
    const verdict = ratio <= bar ? "within" : "over";
    say(
      what.padEnd(24),
      `${ours.toFixed(1)} to ${theirs.toFixed(1)}, x${ratio.toFixed(2)}, ${verdict} x${bar}`,
    );
  }
  const answered = peer(({ cpuAnswered }) => cpuAnswered);
  say("", `a peer that answers each heartbeat as the daemon does: ${answered.toFixed(1)}% CPU`);
  const result = {
    agents,
    lost: daemon.lost,
    rss_kb_per_agent: Math.round(daemon.rssKb * 10) / 10,
    cpu_pct: Math.round(daemon.cpu * 100) / 100,
    noop_all_ms: Math.round(daemon.noopMs),
    recover_ms: Math.round(daemon.recoverMs),
  };
  process.stdout.write(`RESULT ${JSON.stringify(result)}\n`);
  return good;
}
