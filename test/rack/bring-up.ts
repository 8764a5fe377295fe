// From nothing to machines that wait for a deployment: images, manifests, power, approval.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Node, Node_State, PowerAction } from "../../proto/gen/muster/v1/node_pb.ts";
import type { ManifestText } from "./demo-manifests.ts";
import { type MachineLayout, planRack, type RackOptions } from "./layout.ts";
import { type MusterOptions, muster, repository } from "./muster.ts";
import type { Operator } from "./operator.ts";
import type { Log } from "./rack.ts";

export const recipe = path.join(repository, "examples/debian-12.yaml");
const registerLimitMs = 10 * 60_000;
const joinLimitMs = 8 * 60_000;

/** The ramdisk and the OS image, unless they are built already. Returns the directory of the image. */
export async function buildImages(options: MusterOptions, of = recipe): Promise<string> {
  await muster(["image", "build", "--ramdisk"], options);
  const output = await muster(["image", "build", of], options);
  const directory = /^The image is in (\/.+)\.$/m.exec(output)?.[1];
  if (!directory) throw new Error("`muster image build` has not said where the image is");
  return directory;
}

/** Puts a built image into the daemon's store. */
export async function registerImage({ images }: Operator, directory: string, log: Log): Promise<void> {
  const { image } = await images.registerImage({ directory }, { timeoutMs: registerLimitMs });
  if (!image) throw new Error(`the daemon has not said what it found in ${directory}`);
  log(
    `  ${image.name} ${image.digest.slice(0, 12)}: ${image.chunkCount} chunks, ${image.storedBytes >> 20n} MiB`,
  );
}

/** All or nothing. */
export async function applyManifests(operator: Operator, files: ManifestText[], log: Log): Promise<void> {
  const { documents } = await operator.clusters.apply({ files });
  log(`  ${documents.map(({ name }) => name).join(", ")}`);
}

/** Switches the rack's machines on, waits for their agents and lets each join by the code on its console. */
export async function joinNodes(
  operator: Operator,
  rack: RackOptions,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<Node[]> {
  const machines = planRack(rack);
  for (const { name } of machines) {
    await operator.nodes.setNodePower({ name, action: PowerAction.ON }, { timeoutMs: 30_000 });
  }
  const deadline = Date.now() + joinLimitMs;
  const joined = new Map<string, Node>();
  while (joined.size < machines.length) {
    if (Date.now() > deadline) throw new Error(await describeAbsent(operator, machines, joined));
    const { nodes } = await operator.nodes.listNodes({});
    for (const machine of machines.filter(({ name }) => !joined.has(name))) {
      const node = nodes.find(({ name }) => name === machine.name);
      if (!node) continue;
      if (node.approvalCode && consoleOf(machine).includes(node.approvalCode)) {
        await operator.nodes.approveNode({ name: node.name, code: node.approvalCode });
        log(`  ${node.name}: its console shows ${node.approvalCode}, as the daemon does: approved`);
      }
      if (node.state === Node_State.AVAILABLE && node.online) {
        joined.set(node.name, node);
        log(`  ${node.name}: agent connected from ${node.address}`);
      }
    }
    await sleep(500, undefined, { signal });
  }
  return [...joined.values()];
}

export function consoleOf({ serialFile }: MachineLayout): string {
  return existsSync(serialFile) ? readFileSync(serialFile, "latin1") : "";
}

async function describeAbsent(
  operator: Operator,
  machines: MachineLayout[],
  joined: ReadonlyMap<string, Node>,
): Promise<string> {
  const { nodes } = await operator.nodes.listNodes({});
  const absent = machines
    .filter(({ name }) => !joined.has(name))
    .map((machine) => {
      const node = nodes.find(({ name }) => name === machine.name);
      const code = node?.approvalCode ? `, code ${node.approvalCode} is not on its console` : "";
      const words = consoleOf(machine).trim().split(/\r?\n/).slice(-2).join(" | ").slice(-200);
      return `${machine.name} (${node?.state ? stateName(node.state) : "unknown"}${code}): ${words || "its console is silent"}`;
    });
  return `no agent within ${joinLimitMs / 60_000} minutes from ${absent.join("; ")}`;
}

function stateName(state: Node_State): string {
  return Object.entries(Node_State).find(([, value]) => value === state)?.[0] ?? String(state);
}
