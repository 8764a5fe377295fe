// The peer's turn: what grpc-js itself costs on this machine at this moment.

import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { joinSecrets } from "./bench-daemon.ts";
import { Child } from "./children.ts";
import type { Place } from "./control-daemon.ts";
import { cpuPercent, heartbeatMs, median, say, settleMs, spreadMs, startLimitMs } from "./control-report.ts";
import type { Fleet } from "./fleet.ts";

export type PeerFigures = {
  rssKb: number;
  /** With heartbeats that are only taken, and with heartbeats that are answered. */
  cpu: number;
  cpuAnswered: number;
  broadcastMs: number;
  recoverMs: number;
};

export async function measurePeer({ directory }: Place, fleet: Fleet, port: number): Promise<PeerFigures> {
  const pki = path.join(directory, "state/pki");
  const start = async () => {
    const server = new Child("the peer", "test/bench/raw-server.ts", [pki, `${port}`]);
    await server.ask("ready");
    return server;
  };
  await using first = await start();
  const rssBefore = first.rssKb;
  await fleet.beat(heartbeatMs);
  const begin = performance.now();
  const { caPem } = joinSecrets(path.join(directory, "state"));
  await fleet.open({ kind: "raw", address: `127.0.0.1:${port}`, caPem, spreadMs: spreadMs(fleet.size) });
  await fleet.whole(startLimitMs);
  const connectMs = performance.now() - begin;
  const connectCpu = first.cpuSeconds;
  await sleep(settleMs);
  const rssKb = (first.rssKb - rssBefore) / fleet.size;
  const cpu = await cpuPercent(first);
  await first.ask("acknowledge", true);
  const cpuAnswered = await cpuPercent(first);
  await first.ask("acknowledge", false);
  const broadcasts: number[] = [];
  for (let round = 0; round < 5; round++) broadcasts.push(await first.ask<number>("broadcast"));

  await fleet.mark();
  const killed = performance.now();
  await first.end("SIGKILL");
  await using second = await start();
  await fleet.whole(startLimitMs);
  const recoverMs = performance.now() - killed;
  await fleet.beat(0);
  await fleet.close();
  const broadcastMs = median(broadcasts);
  say(
    "peer",
    `${rssKb.toFixed(1)} KB per stream, connected in ${Math.round(connectMs)} ms (${connectCpu.toFixed(1)} s of CPU), CPU ${cpu.toFixed(1)}% ` +
      `(${cpuAnswered.toFixed(1)}% with answers), broadcasts ${broadcasts.map(Math.round).join(" ")} ms, ` +
      `back after a restart in ${Math.round(recoverMs)} ms (${second.cpuSeconds.toFixed(1)} s of CPU)`,
  );
  return { rssKb, cpu, cpuAnswered, broadcastMs, recoverMs };
}
