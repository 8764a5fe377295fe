// What disks do in real racks: one dies, another layout was there before, a machine is deployed again. Long;
// MUSTER_RACK_ALL=1 (npm run test:rack:all) asks for them.
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { Environment, type Node, PowerAction } from "../../proto/gen/muster/v1/node_pb.ts";
import { applyManifests } from "./bring-up.ts";
import { run } from "./command.ts";
import { demoCluster, demoManifests, type ManifestText } from "./demo-manifests.ts";
import { assertSucceeded, type Ended, followDeployment, planCluster, startDeployment } from "./deployment.ts";
import { lines } from "./lines.ts";
import { OneMachine } from "./one-machine.ts";
import { processBook } from "./rack.ts";

const limitMs = 20 * 60_000;
const bootLimitMs = 8 * 60_000;

/** No array and no volumes, and partitions that end where those of the demo do not. */
const flatScheme = `kind: Scheme
name: raid1-lvm
disks:
  - { id: system, count: 1, hints: { serial: "N1A" } }
  - { id: data, count: 1, hints: { serial: "N1B" } }
parteds:
  - disks: system
    partitions:
      - { name: bios, size: 1 MiB, flags: [bios_grub] }
      - { name: swap, size: 300 MiB, flags: [swap] }
      - { name: root, size: remaining }
  - disks: data
    partitions:
      - { name: data, size: remaining }
fss:
  - { device: partition/root, type: ext4, mount: /, label: root }
  - { device: partition/swap, type: swap }
  - { device: partition/data, type: xfs, mount: /data, label: data }
`;

describe.runIf(process.env.MUSTER_RACK_ALL)("disks", () => {
  it.for([0, 1])("boots without disk %i of its mirror", async (lost, { signal }) => {
    const world = await OneMachine.up(signal);
    onTestFinished(() => world[Symbol.asyncDispose]());
    const ended = await deploy(world);
    expect(resultOf(ended, "partition")).toMatch(/md os raid1 \[UU\].*UUIDs: md\/os /);
    const before = await nodeOf(world);
    await replaceDisk(world, lost);
    const after = await untilNode(
      world,
      (node) => node.environment === Environment.INSTALLED && node.bootId !== before.bootId && node.online,
    );
    expect(after.installed?.arrays.join()).toMatch(/^os raid1 \[2\/1\] \[(_U|U_)\]$/);
    expect(after.installed?.imageDigest).toBe(before.installed?.imageDigest);
  });

  it("is deployed over a former layout of another kind, and back", async ({ signal }) => {
    const world = await OneMachine.up(signal);
    onTestFinished(() => world[Symbol.asyncDispose]());
    expect(resultOf(await deploy(world), "partition")).toContain("vg0: root 3.0 GiB");

    await applyManifests(world.operator, withScheme(flatScheme), lines);
    const flat = await deploy(world);
    expect(resultOf(flat, "partition")).toMatch(/^2 disks: gpt bios\+swap\+root and gpt data; UUIDs: swap /);
    expect((await nodeOf(world)).installed?.arrays).toEqual([]);

    await applyManifests(world.operator, demoManifests(1), lines);
    const again = await deploy(world);
    expect(resultOf(again, "partition")).toMatch(/md os raid1 \[UU\]/);
    // The same scheme as the first time, and yet nothing of the first was taken for done.
    expect(resultOf(again, "partition")).not.toMatch(/^unchanged/);
    expect((await nodeOf(world)).installed?.arrays.join()).toBe("os raid1 [2/2] [UU]");
  });
});

function withScheme(content: string): ManifestText[] {
  return demoManifests(1).map((file) => (file.path.endsWith("scheme.yaml") ? { ...file, content } : file));
}

async function deploy({ operator, signal }: OneMachine): Promise<Ended> {
  const name = await startDeployment(operator, await planCluster(operator, demoCluster));
  const ended = await followDeployment(operator, name, { log: lines, signal, limitMs });
  assertSucceeded(ended);
  return ended;
}

function resultOf({ steps }: Ended, task: string): string {
  return steps.find((step) => step.task === task)?.result ?? "";
}

async function nodeOf({ operator }: OneMachine): Promise<Node> {
  const { nodes } = await operator.nodes.listNodes({});
  const [node] = nodes;
  if (!node) throw new Error("the daemon knows no node");
  return node;
}

async function untilNode(world: OneMachine, isReached: (node: Node) => boolean): Promise<Node> {
  const deadline = Date.now() + bootLimitMs;
  while (Date.now() < deadline) {
    const node = await nodeOf(world);
    if (isReached(node)) return node;
    await sleep(1_000, undefined, { signal: world.signal });
  }
  throw new Error(
    `n1 has not come back within ${bootLimitMs / 60_000} minutes: ${(await nodeOf(world)).reason}`,
  );
}

/** Pulls the plug, puts an empty disk into the slot, and switches the machine on. */
async function replaceDisk({ machine, operator, stateDir }: OneMachine, index: number): Promise<void> {
  const disk = machine.disks[index];
  const record = processBook(stateDir).get(machine.name);
  if (!disk || !record) throw new Error(`${machine.name} has no disk ${index}, or is not on record`);
  // The running QEMU keeps the old file open; the one that takes its place opens the new one.
  rmSync(disk.file);
  await run(["qemu-img", "create", "-q", "-f", "qcow2", disk.file, "6G"]);
  process.kill(record.pid, "SIGKILL");
  await sleep(3_000);
  await operator.nodes.setNodePower({ name: machine.name, action: PowerAction.ON }, { timeoutMs: 30_000 });
}
