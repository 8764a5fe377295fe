// What goes wrong in real racks: a chunk that rots in the store, a plug that is pulled, a daemon that dies. Long;
// MUSTER_RACK_ALL=1 (npm run test:rack:all) asks for them.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { Deployment_State, type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { consoleOf } from "./bring-up.ts";
import { run } from "./command.ts";
import {
  journalTask,
  killAndRestart,
  receivedBytes,
  startsInJournal,
  startsOnConsole,
  stepReaches,
} from "./daemon-deaths.ts";
import { demoCluster } from "./demo-manifests.ts";
import { assertSucceeded, followDeployment, planCluster, startDeployment } from "./deployment.ts";
import { lines } from "./lines.ts";
import { muster } from "./muster.ts";
import { OneMachine } from "./one-machine.ts";
import { processBook } from "./rack.ts";

const limitMs = 20 * 60_000;
const bootCodeBytes = 440;

describe.runIf(process.env.MUSTER_RACK_ALL)("faults", () => {
  it("refuses a damaged chunk, leaves no bootable disk, and goes on after the repair", async ({ signal }) => {
    const world = await OneMachine.up(signal);
    onTestFinished(() => world[Symbol.asyncDispose]());
    const { operator } = world;
    const plan = await planCluster(operator, demoCluster);
    const image = plan.nodes[0]?.image ?? "";
    // The directory of the build has only what the store had not got then; a mirror has everything.
    const mirror = path.join(world.stateDir, "mirror");
    await muster(["image", "push", image, mirror], { stateDir: world.stateDir, signal, log: lines });
    const repair = () =>
      operator.images.repairImage({ name: image, directory: mirror }, { timeoutMs: 600_000 });
    const digest = flipByteOfChunk(world);
    onTestFinished(async () => {
      await repair();
      rmSync(mirror, { recursive: true });
    });

    const name = await startDeployment(operator, plan);
    const failed = await followDeployment(operator, name, { log: lines, signal, limitMs });
    expect(failed.deployment.state).toBe(Deployment_State.FAILED);
    const step = failed.steps.find(({ task }) => task === "image");
    expect(step?.state).toBe(Step_State.FAILED);
    expect(step?.reason).toContain(digest);
    expect(await bootCode(world)).toEqual(Buffer.alloc(bootCodeBytes));

    const { badChunks } = await operator.images.verifyImage({ name: image }, { timeoutMs: 600_000 });
    expect(badChunks.map(({ expectedDigest }) => expectedDigest)).toEqual([digest]);
    await repair();
    await operator.deployments.retryDeployment({ name });
    const ended = await followDeployment(operator, name, { log: lines, signal, limitMs });
    assertSucceeded(ended);
    const again = ended.steps.find(({ task }) => task === "image")?.progress;
    expect(again?.skippedBytes ?? 0n).toBeGreaterThan(again?.movedBytes ?? 0n);
    // What was verified and written before has not been moved again.
    const { image: stored } = await operator.images.getImage({ name: image });
    const moved = (step?.progress?.movedBytes ?? 0n) + (again?.movedBytes ?? 0n);
    expect(step?.progress?.movedBytes ?? 0n).toBeGreaterThan(0n);
    expect(moved).toBeLessThanOrEqual(stored?.storedBytes ?? 0n);
  });

  it("shows a machine whose plug was pulled as lost, and finishes it after a retry", async ({ signal }) => {
    const world = await OneMachine.up(signal);
    onTestFinished(() => world[Symbol.asyncDispose]());
    const { operator, machine, stateDir } = world;
    const name = await startDeployment(operator, await planCluster(operator, demoCluster));
    await imageIsHalfWritten(world, name);
    const record = processBook(stateDir).get(machine.name);
    if (!record) throw new Error(`${machine.name} is not on record`);
    process.kill(record.pid, "SIGKILL");

    const lost = await followDeployment(operator, name, { log: lines, signal, limitMs });
    expect(lost.deployment.state).toBe(Deployment_State.FAILED);
    const step = lost.steps.find(({ task }) => task === "image");
    expect(step?.state).toBe(Step_State.FAILED);
    expect(step?.reason).toMatch(/^lost: n1 is switched off/);

    await operator.deployments.retryDeployment({ name });
    const ended = await followDeployment(operator, name, { log: lines, signal, limitMs });
    assertSucceeded(ended);
    // What was on the disk when the plug was pulled has not been written again.
    expect(ended.steps.find(({ task }) => task === "image")?.progress?.skippedBytes).toBeGreaterThan(0n);
  });

  it("does nothing twice when the daemon is killed while it partitions, images, reboots and configures", async ({
    signal,
  }) => {
    const world = await OneMachine.up(signal);
    onTestFinished(() => world[Symbol.asyncDispose]());
    await world.operator.clusters.apply({ files: [{ path: "journal.yaml", content: journalTask }] });
    const plan = await planCluster(world.operator, demoCluster);
    const { image } = await world.operator.images.getImage({ name: plan.nodes[0]?.image ?? "" });
    const name = await startDeployment(world.operator, plan);
    const node = world.machine.name;

    using stack = new DisposableStack();
    let { operator } = world;
    const reaches = (task: string, isThere: (step: Step) => boolean) =>
      stepReaches(operator, `${name}/${node}/${task}`, isThere, signal);
    const killWhile = async (task: string, isThere: (step: Step) => boolean = isRunning) => {
      await reaches(task, isThere);
      lines(`the daemon is killed in the middle of ${task}`);
      operator = stack.use(await killAndRestart(world));
    };
    await killWhile("partition");
    await reaches("image", isRunning);
    const receivedBefore = await receivedBytes(world);
    await killWhile("image", isHalfWritten);
    await reaches("image", ({ state }) => state === Step_State.SUCCEEDED);
    const received = (await receivedBytes(world)) - receivedBefore;
    await killWhile("reboot");
    await killWhile("controller-config");

    const ended = await followDeployment(operator, name, { log: lines, signal, limitMs });
    assertSucceeded(ended);
    const once = ended.steps.map(({ task }) => `${task} 1`).sort();
    expect(ended.steps.map(({ task, attempt }) => `${task} ${attempt}`).sort()).toEqual(once);
    const provisioning = ["bootloader 1", "image 1", "partition 1", "reboot 1", "seed 1"];
    expect(startsOnConsole(consoleOf(world.machine), name, node).sort()).toEqual(
      expect.arrayContaining(provisioning),
    );
    expect(duplicates(startsOnConsole(consoleOf(world.machine), name, node))).toEqual([]);
    const configured = once.filter((start) => !["bootstrap 1", ...provisioning].includes(start));
    expect((await startsInJournal(operator, name, node)).sort()).toEqual(configured);

    const progress = ended.steps.find(({ task }) => task === "image")?.progress;
    expect((progress?.movedBytes ?? 0n) + (progress?.skippedBytes ?? 0n)).toBe(image?.contentBytes);
    lines(
      `the machine has received ${received >> 20n} MiB for ${(image?.storedBytes ?? 0n) >> 20n} MiB of chunks`,
    );
    const stored = image?.storedBytes ?? 0n;
    expect(received).toBeGreaterThan(stored / 2n);
    expect(received).toBeLessThan(stored + stored / packetShare + inFlightBytes);
  });
});

/** A twentieth for the headers of packets, which are 66 of 1514 bytes, and of TLS and HTTP/2. */
const packetShare = 20n;
/** What a connection holds when it breaks: the window of a stream, the sockets' buffers, a chunk on both sides. */
const inFlightBytes = 16n << 20n;

function isRunning({ state }: Step): boolean {
  return state === Step_State.RUNNING;
}

/** A quarter is enough, and leaves time. */
function isHalfWritten(step: Step): boolean {
  const { currentBytes = 0n, totalBytes = 0n } = step.progress ?? {};
  return isRunning(step) && totalBytes > 0n && currentBytes * 4n > totalBytes;
}

function duplicates(items: string[]): string[] {
  return items.filter((item, i) => items.indexOf(item) !== i);
}

/** Damages a chunk in the last quarter of the image; returns its digest. */
function flipByteOfChunk({ stateDir, imageDirectory }: OneMachine): string {
  const manifest = fromBinary(ImageManifestSchema, readFileSync(path.join(imageDirectory, "manifest.binpb")));
  const chunk = manifest.chunks[Math.floor((manifest.chunks.length * 3) / 4)];
  if (!chunk) throw new Error("the image has no chunks");
  const digest = Buffer.from(chunk.storedDigest).toString("hex");
  const file = path.join(stateDir, "images/chunks", digest.slice(0, 2), digest);
  const content = readFileSync(file);
  const middle = content.length >> 1;
  content.writeUInt8(content.readUInt8(middle) ^ 1, middle);
  writeFileSync(file, content);
  return digest;
}

async function bootCode({ machine, stateDir }: OneMachine): Promise<Buffer> {
  const [disk] = machine.disks;
  if (!disk) throw new Error(`${machine.name} has no disk`);
  const copy = path.join(stateDir, "lab/first-sector");
  // -U: QEMU has the disk open.
  await run([
    "qemu-img",
    "dd",
    "-U",
    "-f",
    "qcow2",
    "-O",
    "raw",
    `if=${disk.file}`,
    `of=${copy}`,
    "bs=512",
    "count=1",
  ]);
  return readFileSync(copy).subarray(0, bootCodeBytes);
}

async function imageIsHalfWritten({ operator, signal }: OneMachine, name: string): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (Date.now() < deadline) {
    const { steps } = await operator.deployments.getDeployment({ name });
    const image = steps.find(({ task }) => task === "image");
    if (image && isHalfWritten(image)) return;
    if (image?.state === Step_State.SUCCEEDED)
      throw new Error("the image was written before the plug could be pulled");
    await sleep(300, undefined, { signal });
  }
  throw new Error("the image step did not come to a quarter of the image");
}
