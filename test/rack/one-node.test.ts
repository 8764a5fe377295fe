// One real machine from power-on to a configured cluster.
import { readFileSync, rmSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { consoleOf } from "./bring-up.ts";
import { run } from "./command.ts";
import { demoCluster } from "./demo-manifests.ts";
import { assertSucceeded, followDeployment, planCluster, startDeployment } from "./deployment.ts";
import { checkTaskLogs } from "./first-light-logs.ts";
import { lines } from "./lines.ts";
import { OneMachine } from "./one-machine.ts";
import { summaryLines } from "./summary.ts";
import { type Evidence, findFaults } from "./verify.ts";

const mib = 1 << 20;

it("deploys a machine that was powered off, boots it from its own disks, and releases it", async ({
  signal,
}) => {
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

  // The installed system reports the same machine, so nothing is left to do.
  const again = await planCluster(operator, demoCluster);
  expect(again.steps.filter(({ unchangedSince }) => !unchangedSince)).toEqual([]);
  expect(new Set(again.steps.map(({ unchangedSince }) => unchangedSince))).toEqual(new Set([name]));

  const release = await planCluster(operator, demoCluster, Purpose.RELEASE);
  expect(release.nodes[0]?.disks?.disks.map(({ serial }) => serial)).toEqual(["N1A", "N1B"]);
  const releaseName = await startDeployment(operator, release);
  assertSucceeded(
    await followDeployment(operator, releaseName, { log: lines, signal, limitMs: 10 * 60_000 }),
  );
  const { node } = await operator.nodes.getNode({ name: "n1" });
  expect(node).toMatchObject({ state: Node_State.AVAILABLE, cluster: "", role: "" });
  for (const disk of machine.disks) expect(await contentOf(disk.file)).toEqual([]);
});

/** Where a disk is not zero in its first and last MiB: partition tables and md superblocks lie there. */
async function contentOf(file: string): Promise<string[]> {
  const info: unknown = JSON.parse(await run(["qemu-img", "info", "-U", "--output=json", file]));
  const size = Number((info as { "virtual-size": number })["virtual-size"]);
  const found: string[] = [];
  for (const start of [0, size - mib]) {
    const copy = `${file}.look`;
    const where = [`skip=${start / mib}`, `bs=${mib}`, "count=1"];
    await run(["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", `if=${file}`, `of=${copy}`, ...where]);
    const bytes = readFileSync(copy);
    rmSync(copy);
    const at = bytes.findIndex((byte) => byte !== 0);
    if (at >= 0) found.push(`${file}: byte ${start + at}`);
  }
  return found;
}
