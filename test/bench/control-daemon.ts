// The daemon's turn: machines join, a cluster is deployed, a task is added, the daemon is killed.
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Scope } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { BenchDaemon, joinSecrets, type Ports } from "./bench-daemon.ts";
import { cpuPercent, heartbeatMs, median, say, settleMs, spreadMs, startLimitMs } from "./control-report.ts";
import { clusterName, manifests, noopTask, writeImage } from "./fixture.ts";
import type { Fleet } from "./fleet.ts";
import { profiled } from "./profile.ts";

export type Place = { directory: string; ports: Ports; profile?: string };

export type DaemonFigures = {
  rssKb: number;
  cpu: number;
  noopMs: number;
  recoverMs: number;
  /** Agents that did not come back, or whose no-op was not done. */
  lost: number;
};

const callMs = { timeoutMs: 300_000 };
const deploymentLimitSeconds = 900n;
const noops = 3;
const pageSize = 1000;

/** Lets all machines join and describes the cluster; the daemon has stopped when this returns. */
export async function prepare(place: Place, fleet: Fleet): Promise<void> {
  const stateDir = path.join(place.directory, "state");
  await using daemon = await start(place);
  const image = path.join(place.directory, "image");
  await writeImage(image);
  await daemon.images.registerImage({ directory: image });
  await fleet.make();

  const request = { address: `127.0.0.1:${place.ports.enroll}`, ...joinSecrets(stateDir) };
  const asked = performance.now();
  const waiting = await fleet.enroll(request);
  const askedMs = performance.now() - asked;
  await Promise.all(waiting.map((name) => daemon.nodes.approveNode({ name }, callMs)));
  const approvedMs = performance.now() - asked - askedMs;
  const refused = await fleet.enroll(request);
  if (refused.length) throw new Error(`${refused.length} nodes were approved and may not join`);
  const joinedMs = performance.now() - asked;
  say(
    "join",
    `${fleet.size} machines in ${Math.round(joinedMs)} ms, ${rate(fleet.size, joinedMs)}/s ` +
      `(asking ${Math.round(askedMs)} ms, approving ${Math.round(approvedMs)} ms)`,
  );

  const content = manifests(await fleet.names());
  const begin = performance.now();
  await daemon.clusters.apply({ files: [{ path: "bench.yaml", content }] }, callMs);
  say("apply", `${content.length >> 10} KiB of manifests in ${since(begin)} ms`);
  await daemon.end("SIGTERM");
}

export async function measureDaemon(place: Place, fleet: Fleet): Promise<DaemonFigures> {
  const { caPem } = joinSecrets(path.join(place.directory, "state"));
  await using daemon = await start(place);
  const { process } = daemon;
  const rssBefore = process.rssKb;
  await fleet.beat(heartbeatMs);
  const begin = performance.now();
  await profiled(place.profile, process, "connect", async () => {
    const address = `127.0.0.1:${place.ports.agent}`;
    await fleet.open({ kind: "muster", address, caPem, spreadMs: spreadMs(fleet.size) });
    await fleet.whole(startLimitMs);
    await allOnline(daemon, fleet.size);
  });
  const connectMs = since(begin);
  const connectCpu = process.cpuSeconds;
  await sleep(settleMs);
  const rssKb = (process.rssKb - rssBefore) / fleet.size;
  const cpu = await profiled(place.profile, process, "heartbeat", () => cpuPercent(process));
  say(
    "daemon",
    `${rssKb.toFixed(1)} KB per agent, connected in ${connectMs} ms (${connectCpu.toFixed(1)} s of CPU), CPU ${cpu.toFixed(1)}%`,
  );

  await profiled(place.profile, process, "deploy", () => deploy(daemon, fleet, "first deployment"));
  const times: number[] = [];
  let lost = 0;
  for (let round = 1; round <= noops; round++) {
    await daemon.clusters.apply({ files: [{ path: "noop.yaml", content: noopTask(round) }] }, callMs);
    const { name, ms } = await profiled(place.profile, process, `noop-${round}`, () =>
      deploy(daemon, fleet, `no-op ${round}`),
    );
    times.push(ms);
    lost = Math.max(lost, fleet.size - (await acknowledged(fleet, name)));
  }
  say("daemon", `${Math.round(process.rssKb / 1024)} MB in memory after ${noops + 1} deployments`);

  await fleet.mark();
  const killed = performance.now();
  await daemon.end("SIGKILL");
  await using again = await start(place);
  const loadMs = since(killed);
  const back = await profiled(place.profile, again.process, "recover", async () => {
    const count = await fleet.whole(startLimitMs);
    if (count === fleet.size) await allOnline(again, fleet.size);
    return count;
  });
  const recoverMs = since(killed);
  say(
    "daemon",
    `answers ${loadMs} ms after kill -9, whole after ${recoverMs} ms (${again.process.cpuSeconds.toFixed(1)} s of CPU), ${back} agents are back`,
  );
  await fleet.beat(0);
  await fleet.close();
  return { rssKb, cpu, noopMs: median(times), recoverMs, lost: Math.max(lost, fleet.size - back) };
}

const since = (begin: number) => Math.round(performance.now() - begin);
const rate = (count: number, ms: number) => Math.round((count * 1000) / ms);

function start({ directory, ports, profile }: Place): Promise<BenchDaemon> {
  const hook = profile ? ["--import", path.join(import.meta.dirname, "profile-hook.ts")] : [];
  return BenchDaemon.start(path.join(directory, "state"), ports, hook);
}

/** Plans, starts and awaits a deployment. The time is that from the start to its success. */
async function deploy(
  daemon: BenchDaemon,
  fleet: Fleet,
  what: string,
): Promise<{ name: string; ms: number }> {
  const { deployments, process } = daemon;
  const planning = performance.now();
  const request = { cluster: clusterName, scope: Scope.CHANGED };
  const { plan } = await deployments.planCluster(request, callMs);
  const planMs = since(planning);
  const steps = plan?.steps.filter(({ unchangedSince }) => !unchangedSince).length ?? 0;
  const { revision: before } = await daemon.images.listImages({});
  const [cpu, fleetCpu] = [process.cpuSeconds, fleet.cpuSeconds];
  const begin = performance.now();
  const { deployment } = await deployments.startDeployment({ ...request, planHash: plan?.hash }, callMs);
  const startMs = since(begin);
  const name = deployment?.name ?? "";
  const timeout = { seconds: deploymentLimitSeconds };
  const { deployment: ended, done } = await deployments.waitDeployment(
    { name, timeout },
    { timeoutMs: Number(deploymentLimitSeconds) * 1000 + 10_000 },
  );
  const ms = performance.now() - begin;
  if (!done) throw new Error(`${name} has not ended: ${ended?.reason}`);
  if (ended?.reason) throw new Error(`${name} has not succeeded: ${ended.reason}`);
  const { revision } = await daemon.images.listImages({});
  const decisions = Number(revision - before);
  say(
    what,
    `${steps} steps in ${Math.round(ms)} ms (plan ${planMs} ms, start ${startMs} ms), ${decisions} durable ` +
      `decisions, ${rate(decisions, ms)}/s, CPU ${(process.cpuSeconds - cpu).toFixed(2)} s, ` +
      `of the agents ${(fleet.cpuSeconds - fleetCpu).toFixed(2)} s`,
  );
  return { name, ms };
}

/** Agents that have heard that their one result is stored; the last acknowledgements may be on the way. */
async function acknowledged(fleet: Fleet, deployment: string): Promise<number> {
  let count = 0;
  for (let tries = 0; tries < 50 && count < fleet.size; tries++) {
    count = await fleet.acknowledged(deployment, 1);
    await sleep(20);
  }
  return count;
}

/** Returns when the daemon has taken every hello. */
export async function allOnline({ nodes }: BenchDaemon, count: number): Promise<void> {
  const deadline = performance.now() + startLimitMs;
  while (performance.now() < deadline) {
    const page = await nodes.listNodes({ filter: "online = false", pageSize }, callMs);
    if (page.nodes.length === 0) return;
    await sleep(20);
  }
  throw new Error(`the daemon does not have all ${count} nodes online`);
}
