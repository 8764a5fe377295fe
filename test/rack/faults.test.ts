// What goes wrong in real racks: a chunk that rots in the store, a plug that is pulled, a daemon that dies. Long;
// MUSTER_RACK_ALL=1 (npm run test:rack:all) asks for them.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { Deployment_State, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { run } from "./command.ts";
import { ensureDaemon } from "./daemon-process.ts";
import { demoCluster } from "./demo-manifests.ts";
import { assertSucceeded, followDeployment, planCluster, startDeployment } from "./deployment.ts";
import { lines } from "./lines.ts";
import { OneMachine } from "./one-machine.ts";
import { Operator } from "./operator.ts";
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
    const digest = flipByteOfChunk(world);
    onTestFinished(async () => {
      await operator.images.repairImage(
        { name: image, directory: world.imageDirectory },
        { timeoutMs: 600_000 },
      );
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
    await operator.images.repairImage(
      { name: image, directory: world.imageDirectory },
      { timeoutMs: 600_000 },
    );
    await operator.deployments.retryDeployment({ name });
    const ended = await followDeployment(operator, name, { log: lines, signal, limitMs });
    assertSucceeded(ended);
    const again = ended.steps.find(({ task }) => task === "image")?.progress;
    expect(again?.skippedBytes ?? 0n).toBeGreaterThan(again?.movedBytes ?? 0n);
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

  it("goes on by itself when the daemon was killed while a machine was written", async ({ signal }) => {
    const world = await OneMachine.up(signal);
    onTestFinished(() => world[Symbol.asyncDispose]());
    const { operator, stateDir } = world;
    const name = await startDeployment(operator, await planCluster(operator, demoCluster));
    await imageIsHalfWritten(world, name);
    const book = processBook(stateDir);
    const record = book.get("daemon");
    if (!record) throw new Error("the daemon is not on record");
    process.kill(record.pid, "SIGKILL");
    await sleep(5_000, undefined, { signal });
    expect(await ensureDaemon(stateDir, book, signal)).toBe(true);

    // A connection of its own: the old one waits before it tries again.
    using again = new Operator(stateDir);
    const ended = await followDeployment(again, name, { log: lines, signal, limitMs });
    assertSucceeded(ended);
    // The agent went on with what it was doing: nothing was started twice.
    expect(ended.steps.map(({ task, attempt }) => `${task} ${attempt}`)).toEqual(
      ended.steps.map(({ task }) => `${task} 1`),
    );
  });
});

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
    const { currentBytes = 0n, totalBytes = 0n } = image?.progress ?? {};
    if (image?.state === Step_State.RUNNING && currentBytes * 4n > totalBytes && totalBytes) return;
    if (image?.state === Step_State.SUCCEEDED)
      throw new Error("the image was written before the plug could be pulled");
    await sleep(300, undefined, { signal });
  }
  throw new Error("the image step did not come to a quarter of the image");
}
