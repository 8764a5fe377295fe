// A machine of the rack that loses a disk, and how its node comes back.
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Node, PowerAction } from "../../proto/gen/muster/v1/node_pb.ts";
import { run } from "./command.ts";
import { diskSize, type OneMachine } from "./one-machine.ts";
import { processBook } from "./rack.ts";

const bootLimitMs = 8 * 60_000;
const standByMs = 3_000;

/** Pulls the plug, puts an empty disk into the slot, and switches the machine on. */
export async function replaceDisk(world: OneMachine, index: number): Promise<void> {
  const { file } = diskAt(world, index);
  // The running QEMU keeps the old file open; the one that takes its place opens the new one.
  rmSync(file);
  await run(["qemu-img", "create", "-q", "-f", "qcow2", file, diskSize]);
  await pullPlug(world);
  await switchOn(world);
}

/** Pulls the plug, takes the disk out, and switches the machine on. */
export async function removeDisk(world: OneMachine, index: number): Promise<void> {
  world.removeDisk(diskAt(world, index).id);
  await pullPlug(world);
  await switchOn(world);
}

export async function untilNode(world: OneMachine, isReached: (node: Node) => boolean): Promise<Node> {
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

export async function nodeOf({ operator }: OneMachine): Promise<Node> {
  const { nodes } = await operator.nodes.listNodes({});
  const [node] = nodes;
  if (!node) throw new Error("the daemon knows no node");
  return node;
}

function diskAt({ machine }: OneMachine, index: number) {
  const disk = machine.disks[index];
  if (!disk) throw new Error(`${machine.name} has no disk ${index}`);
  return disk;
}

async function switchOn({ operator, machine }: OneMachine): Promise<void> {
  await operator.nodes.setNodePower({ name: machine.name, action: PowerAction.ON }, { timeoutMs: 30_000 });
}

async function pullPlug({ machine, stateDir }: OneMachine): Promise<void> {
  const record = processBook(stateDir).get(machine.name);
  if (!record) throw new Error(`${machine.name} is not on record`);
  process.kill(record.pid, "SIGKILL");
  await sleep(standByMs);
}
