// Steps that touch no disk but their machine's own folder, and write into its ledger when they start and end.
// What an installation needs to boot is written as the real steps do it, so that a half-done one does not boot.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { openImage } from "../../node-agent/delivery/open-image.ts";
import { Sources } from "../../node-agent/delivery/sources.ts";
import { treeContent } from "../../node-agent/delivery/tree-content.ts";
import type { ActionOf, Step, StepContext } from "../../node-agent/step.ts";
import type { AgentStepKind, Catalogue } from "../../node-agent/steps/perform.ts";
import type { Assign } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Delivery } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { type InstalledSystem, InstalledSystemSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import type { Random } from "../sim/random.ts";
import type { Ledger } from "./ledger.ts";

type Fakes = {
  ledger: Ledger;
  random: Random;
  /** The folder that stands for the machine's disks. */
  disk: string;
  /** The assignment that an action came with. */
  assignOf(action: object): Assign;
};

const shortestMs = 50;
const longestMs = 800;

export function fakeCatalogue(fakes: Fakes): Catalogue {
  const { disk } = fakes;
  const file = (name: string) => join(disk, name);
  const identityDir = file("var/lib/muster/agent");
  return {
    partition: step(fakes, async () => {
      await rm(disk, { recursive: true, force: true });
      await mkdir(identityDir, { recursive: true });
    }),
    image: step(fakes, async ({ targets }, context) => {
      const imageDigest = targets[0]?.imageDigest ?? "";
      await rm(file("bootable"), { force: true });
      await fetchImage(imageDigest, context);
      await writeFile(file("image"), imageDigest);
    }),
    seed: step(fakes, async ({ systems, hostname }, { identity }) => {
      await mkdir(file("etc/muster"), { recursive: true });
      await writeFile(file("etc/muster/join.json"), identity.joinBundle);
      await writeFile(join(identityDir, "key.pem"), identity.privateKey);
      await writeFile(join(identityDir, "cert.pem"), identity.certificate);
      await writeFile(join(identityDir, "image-digest"), systems[0]?.imageDigest ?? "");
      await writeFile(file("hostname"), hostname);
    }),
    bootloader: step(fakes, async ({ plan }) => {
      await readFile(file("image"));
      await writeFile(file("bootable"), plan?.kernelRoot ?? "");
    }),
    wipe: step(fakes, () => rm(disk, { recursive: true, force: true })),
    reboot: step(fakes, async () => {}),
    shell: step(fakes, async () => {}),
    uploadFile: step(fakes, async () => {}),
    puppet: step(fakes, async () => {}),
    uploadFiles: step(fakes, async () => {}),
    sync: step(fakes, async () => {}),
    copyFiles: step(fakes, async () => {}),
    template: step(fakes, async () => {}),
    mergeConfig: step(fakes, async () => {}),
    package: step(fakes, async () => {}),
    service: step(fakes, async () => {}),
    ansible: step(fakes, async () => {}),
    restart: step(fakes, async () => {}),
    waitFor: step(fakes, async () => {}),
    fetch: step(fakes, async () => {}),
    noop: step(fakes, async () => {}),
  };
}

/** What an agent in the installed system finds there. */
export async function installedSystem(disk: string, bootId: string): Promise<InstalledSystem> {
  const read = (name: string) => readFile(join(disk, name), "utf8");
  return create(InstalledSystemSchema, {
    bootId,
    hostname: await read("hostname"),
    rootDevice: await read("bootable"),
    imageDigest: await read("var/lib/muster/agent/image-digest"),
  });
}

type Work<K extends AgentStepKind> = (action: ActionOf<K>, context: StepContext) => Promise<void>;

function step<K extends AgentStepKind>({ ledger, random, assignOf }: Fakes, work: Work<K>): Step<K> {
  return async (action, context) => {
    const { token, fence } = assignOf(action);
    ledger.write("start", token, `${fence}`);
    for (let part = 1; part <= 3; part++) {
      context.log(`${token} line ${part}`);
      await delay(random.between(shortestMs, longestMs) / 3, undefined, { signal: context.signal });
    }
    await work(action, context);
    ledger.write("end", token);
    return "done";
  };
}

/** Every chunk, checked; nothing is kept. */
async function fetchImage(digest: string, { images, identity, signal, log }: StepContext): Promise<void> {
  const { sources } = await images.locate(digest, Delivery.AUTO, signal);
  const relocate = async () => (await images.locate(digest, Delivery.AUTO, signal)).sources;
  const report = async (_: unknown, fault: string) => {
    throw new Error(fault);
  };
  const options = { signal, log, relocate, report };
  const manifest = await openImage(digest, sources, identity.imageKey, options);
  const standing = new Sources(sources, options);
  const job = { manifest, digest, sources: standing, signal, onChunk: () => {} };
  for await (const _ of treeContent(job)) signal.throwIfAborted();
}
