// The life of images over the daemon's socket: registered anew, deleted, collected, and kept within a quota.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { manifests } from "../../daemon/domain/plan-fixture.ts";
import { put } from "../../daemon/domain/state.ts";
import { blocks, writeBuiltImage } from "../../daemon/drivers/image-fixture.ts";
import { ImageKind } from "../../proto/gen/muster/v1/image_pb.ts";
import { codes } from "../../proto/rpc/status.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";

let root: string;
let daemon: TestDaemon;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "muster-api-images-"));
  daemon = await startTestDaemon();
});
afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
  await rm(root, { recursive: true });
});

const shared = blocks("shared", 4);
let builds = 0;

/** A version of an image: a chunk that all have, and one of its own. */
async function built(name: string, version: string): Promise<string> {
  const directory = join(root, `${builds++}`);
  await writeBuiltImage(directory, [shared, blocks(`${name} ${version} `, 4)], { name, version });
  return directory;
}

async function register(name: string, version: string, fields: { move?: boolean } = {}): Promise<string> {
  const directory = await built(name, version);
  const { image } = await daemon.muster.images.registerImage({ directory, ...fields });
  return image?.digest ?? "";
}

async function former(name: string): Promise<string[]> {
  return (await daemon.muster.images.getImage({ name })).image?.formerDigests ?? [];
}

async function manifestsInStore(): Promise<string[]> {
  const names = await readdir(join(daemon.stateDir, "images", "manifests"));
  return names.flatMap((name) => /^(.*)\.binpb$/.exec(name)?.[1] ?? []).sort();
}

describe("an image of a name that there is", () => {
  it("takes its place, and what it was is remembered, newest first", async () => {
    const [one, two, three] = [
      await register("web", "1"),
      await register("web", "2"),
      await register("web", "3"),
    ];
    expect((await daemon.muster.images.getImage({ name: "web" })).image).toMatchObject({
      digest: three,
      version: "3",
      kind: ImageKind.FILESYSTEM,
      formerDigests: [two, one],
      contentBytes: 32768n,
    });
    expect(await register("web", "1")).toBe(one);
    expect(await former("web")).toEqual([three, two]);
    await daemon.restart();
    const { images } = await daemon.muster.images.listImages({ filter: "kind = filesystem version = 1" });
    expect(images.map(({ name, formerDigests }) => [name, formerDigests])).toEqual([["web", [three, two]]]);
  });

  it("is moved once, though it is asked for twice", async () => {
    const request = { directory: await built("web", "1"), move: true, requestId: "r1" };
    const { images } = daemon.muster;
    const [first, second] = await Promise.all([images.registerImage(request), images.registerImage(request)]);
    expect(second).toEqual(first);
    expect(first.changed).toBe(true);
    expect(await readdir(request.directory, { recursive: true })).toEqual(["chunks", "manifest.binpb"]);
    expect(await images.verifyImage({ name: "web", chunkLimit: 1 })).toMatchObject({
      chunksChecked: 1,
      chunksTotal: 2,
      badChunks: [],
    });
  });
});

describe("collecting", () => {
  it("says what would go, then removes it, and tells what was freed", async () => {
    const [one, two, three] = [
      await register("web", "1"),
      await register("web", "2"),
      await register("web", "3"),
    ];
    const { images, watch } = daemon.muster;
    const plan = await images.collectImages({ validateOnly: true });
    expect(plan).toMatchObject({ manifests: [one], chunks: 1, quotaBytes: 0n });
    expect(plan.bytes).toBeGreaterThan(16384n);
    expect(await former("web")).toEqual([two, one]);

    const done = await images.collectImages({});
    expect(done).toMatchObject({ manifests: [one], chunks: 1, bytes: plan.bytes });
    expect(done.storedBytes).toBe(plan.storedBytes - plan.bytes);
    expect(await manifestsInStore()).toEqual([two, three].sort());
    expect(await former("web")).toEqual([two]);
    expect((await images.verifyImage({ name: "web" })).badChunks).toEqual([]);
    const { events } = await watch.listEvents({});
    expect(events.filter(({ reason }) => reason === "IMAGES_COLLECTED")).toMatchObject([
      { subject: "images", message: expect.stringMatching(/^1 manifests and 1 chunks, 16\.\d KiB$/) },
    ]);
    // Nothing more, and no event about it.
    expect(await images.collectImages({})).toMatchObject({ manifests: [], chunks: 0, bytes: 0n });
    expect((await watch.listEvents({})).events).toHaveLength(events.length);
    expect(await images.collectImages({ keep: 0 })).toMatchObject({ manifests: [two] });
    expect(await former("web")).toEqual([]);
  });

  it("spares what a node runs and what a running deployment installs", async () => {
    const installed = await register("debian", "1");
    await daemon[Symbol.asyncDispose]();
    const value = { name: "n9", installed: { imageDigest: installed } };
    daemon = await startTestDaemon([put({ case: "node", value })]);
    const { clusters, deployments, images } = daemon.muster;
    await register("debian", "1");
    const deployed = await register("debian", "2");
    await clusters.apply({ files: [{ path: "demo.yaml", content: manifests }] });
    const { plan } = await deployments.planCluster({ cluster: "demo" });
    await deployments.startDeployment({ cluster: "demo", planHash: plan?.hash ?? "" });
    const [three, four] = [await register("debian", "3"), await register("debian", "4")];
    expect(await images.collectImages({ keep: 0 })).toMatchObject({ manifests: [three] });
    expect(await manifestsInStore()).toEqual([installed, deployed, four].sort());
    expect(await former("debian")).toEqual([deployed, installed]);
  });

  it("takes nothing from images that come in at the same time", async () => {
    const { images } = daemon.muster;
    const names = Array.from({ length: 6 }, (_, i) => `image-${i}`);
    const directories = await Promise.all(names.map((name) => built(name, "1")));
    await Promise.all(
      directories.flatMap((directory) => [
        images.registerImage({ directory, move: true }),
        images.collectImages({ keep: 0 }),
      ]),
    );
    for (const name of names) {
      const found = await images.verifyImage({ name });
      expect(found).toMatchObject({ chunksChecked: 2, badChunks: [] });
    }
  });

  it("removes nothing while it is not known what is needed", async () => {
    const [one, two] = [await register("web", "1"), await register("web", "2")];
    await writeFile(join(daemon.stateDir, "images", "manifests", `${two}.binpb`), "damaged");
    await daemon.restart();
    const { images } = daemon.muster;
    await expect(images.collectImages({ keep: 0 })).rejects.toMatchObject({
      code: codes.DATA_LOSS,
      reason: "IMAGE_DAMAGED",
      message: expect.stringContaining("register the image again"),
    });
    expect(await manifestsInStore()).toEqual([one, two].sort());
    await register("web", "2");
    expect(await images.collectImages({ keep: 0 })).toMatchObject({ manifests: [one], chunks: 1 });
  });
});

describe("an image that is deleted", () => {
  it("goes when nothing uses it, and its content with the next collection", async () => {
    const { images } = daemon.muster;
    const [one, two] = [await register("web", "1"), await register("web", "2")];
    const { image } = await images.getImage({ name: "web" });
    await expect(images.deleteImage({ name: "web", etag: "1" })).rejects.toMatchObject({
      code: codes.ABORTED,
      reason: "ETAG_MISMATCH",
    });
    const request = { name: "web", requestId: "r1", etag: image?.etag ?? "" };
    await images.deleteImage(request);
    await images.deleteImage(request);
    await expect(images.deleteImage({ name: "web" })).rejects.toMatchObject({ code: codes.NOT_FOUND });
    expect((await images.collectImages({})).manifests.sort()).toEqual([one, two].sort());
    expect(await manifestsInStore()).toEqual([]);
  });

  it("is kept while roles name it and a deployment installs it", async () => {
    const { clusters, deployments, images } = daemon.muster;
    await register("debian", "1");
    await clusters.apply({ files: [{ path: "demo.yaml", content: manifests }] });
    const { plan } = await deployments.planCluster({ cluster: "demo" });
    await deployments.startDeployment({ cluster: "demo", planHash: plan?.hash ?? "" });
    await expect(images.deleteImage({ name: "debian" })).rejects.toMatchObject({
      code: codes.FAILED_PRECONDITION,
      reason: "IMAGE_IN_USE",
      message: expect.stringContaining(
        "is used by role/controller, role/compute, deployment/demo-1: change or delete that first",
      ),
    });
    expect((await images.getImage({ name: "debian" })).image?.name).toBe("debian");
  });
});

describe("a quota", () => {
  it("keeps out what does not fit, and says what collecting would free", async () => {
    await daemon[Symbol.asyncDispose]();
    daemon = await startTestDaemon([], "--image-quota", "70KiB");
    const { images } = daemon.muster;
    await register("web", "1");
    await register("web", "2");
    await register("web", "3");
    const directory = await built("web", "4");
    const refusal = images.registerImage({ directory, move: true });
    await expect(refusal).rejects.toMatchObject({
      code: codes.RESOURCE_EXHAUSTED,
      reason: "IMAGE_QUOTA",
      metadata: { quota: `${70 << 10}` },
    });
    await expect(refusal).rejects.toThrow(
      /needs 16\.\d KiB more, and the image store has 6\d(\.\d)? KiB of 70 KiB already; .* frees 16\.\d KiB/,
    );
    expect(await manifestsInStore()).toHaveLength(3);
    expect(await images.collectImages({})).toMatchObject({ quotaBytes: BigInt(70 << 10) });
    expect((await images.registerImage({ directory, move: true })).changed).toBe(true);
  });
});
