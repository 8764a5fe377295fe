// The examples for scripts, run as a reader would: against a daemon's process, whose nodes are machines without
// hardware with the real agent, so that each script really deploys a cluster.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { connect, type Muster } from "muster/client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { World } from "../torture/world.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const examples = join(root, "examples/scripting");
const stop = new AbortController();

let world: World;
let muster: Muster;
beforeAll(async () => {
  world = await World.create({
    seed: 1,
    machines: 3,
    clusterSize: 1,
    keep: false,
    signal: stop.signal,
    log: () => {},
  });
  if (!world.daemon.life || world.daemon.life.hasEnded) await world.startDaemon();
  muster = connect({ socket: world.daemon.socketPath });
  for (const machine of world.machines) machine.cont();
  await everyNodeIsIn();
}, 120_000);

afterAll(async () => {
  stop.abort();
  muster?.[Symbol.dispose]();
  await world?.[Symbol.asyncDispose]();
}, 30_000);

/** Lets the nodes in that ask, until all are free. */
async function everyNodeIsIn(): Promise<void> {
  for (;;) {
    const { nodes } = await muster.nodes.listNodes({ filter: "state = AWAITING_APPROVAL" });
    for (const { name } of nodes) await muster.nodes.approveNode({ name });
    const free = await muster.nodes.listNodes({ filter: "state = AVAILABLE online = true" });
    if (free.nodes.filter(({ inventory }) => inventory).length === world.machines.length) return;
    await delay(200);
  }
}

function script(command: string, ...args: string[]) {
  const PATH = `${join(root, "node_modules/.bin")}:${process.env.PATH}`;
  const env = { ...process.env, PATH, MUSTER_STATE_DIR: world.daemon.stateDir };
  return run(command, args, { env, timeout: 100_000 });
}

describe.each([
  ["TypeScript", "c1", (cluster: string) => script(process.execPath, join(examples, "deploy.ts"), cluster)],
  ["shell", "c2", (cluster: string) => script(join(examples, "deploy.sh"), cluster)],
  ["Python", "c3", (cluster: string) => script(join(examples, "deploy.py"), cluster)],
])("the example in %s", (_, cluster, deploy) => {
  it("deploys a cluster and prints its steps", async () => {
    const { stdout } = await deploy(cluster);
    const node = cluster.replace("c", "n");
    expect(stdout).toMatch(new RegExp(`^node ${node}: AVAILABLE`, "m"));
    expect(stdout).toMatch(/^plan [0-9a-f]{12}: 8 steps on 1 nodes$/m);
    expect(stdout).toMatch(new RegExp(`^step ${node}/reboot: SUCCEEDED`, "m"));
    expect(stdout).toMatch(new RegExp(`^${cluster}-1: SUCCEEDED`, "m"));
    const { deployments } = await muster.deployments.listDeployments({ filter: `cluster = ${cluster}` });
    expect(deployments).toHaveLength(1);
  }, 120_000);

  it("says why when there is no such cluster", async () => {
    await expect(deploy("nowhere")).rejects.toMatchObject({
      code: expect.any(Number),
      stderr: expect.stringMatching(/there is no cluster nowhere/),
    });
  }, 60_000);
});
