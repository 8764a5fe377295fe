// One real machine from power-on to a configured cluster.
import { expect, it, onTestFinished } from "vitest";
import { consoleOf } from "./bring-up.ts";
import { demoCluster } from "./demo-manifests.ts";
import { assertSucceeded, followDeployment, planCluster, startDeployment } from "./deployment.ts";
import { checkTaskLogs } from "./first-light-logs.ts";
import { lines } from "./lines.ts";
import { OneMachine } from "./one-machine.ts";
import { summaryLines } from "./summary.ts";
import { type Evidence, findFaults } from "./verify.ts";

it("deploys a machine that was powered off, and boots it from its own disks", async ({ signal }) => {
  const world = await OneMachine.up(signal);
  onTestFinished(() => world[Symbol.asyncDispose]());
  const { operator, joined, machine } = world;

  const plan = await planCluster(operator, demoCluster);
  expect(plan.nodes.map(({ node }) => node)).toEqual(["n1"]);
  expect(plan.nodes[0]?.disks?.disks.map(({ serial }) => serial)).toEqual(["N1A", "N1B"]);

  const name = await startDeployment(operator, plan);
  const ended = await followDeployment(operator, name, { log: lines, signal, limitMs: 20 * 60_000 });
  assertSucceeded(ended);

  const look = async (): Promise<Evidence> => ({
    plan,
    nodes: (await operator.nodes.listNodes({})).nodes,
    steps: ended.steps,
    bootstrapBootIds: new Map([[joined.name, joined.bootId]]),
    consoles: new Map([[machine.name, consoleOf(machine)]]),
  });
  // The login prompt may come a little after the agent.
  await expect.poll(async () => findFaults(await look()), { timeout: 90_000, interval: 1_000 }).toEqual([]);
  expect(await checkTaskLogs(operator, plan, signal)).toEqual([]);
  for (const line of summaryLines(plan, (await look()).nodes, ended.steps)) console.log(line);
});
