// Which files go and which stay, on real files; and the quota, which counts the same files.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { chunkFile, manifestFile } from "../../proto/image/layout.ts";
import { blocks, nameOf, writeBuiltImage } from "./image-fixture.ts";
import { ImageStore } from "./image-store.ts";

let root: string;
let store: ImageStore;
const sign = () => new Uint8Array([1]);
const [shared, old, fresh, other] = ["shared", "old", "fresh", "other"].map((text) => blocks(text)) as [
  Buffer,
  Buffer,
  Buffer,
  Buffer,
];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "muster-sweep-"));
  store = new ImageStore(join(root, "images"), sign);
});
afterEach(() => rm(root, { recursive: true }));

let builds = 0;
async function built(contents: Buffer[], name = "tiny"): Promise<string> {
  const directory = join(root, `built-${builds++}`);
  await writeBuiltImage(directory, contents, { name });
  return directory;
}

async function register(contents: Buffer[], name?: string): Promise<string> {
  return (await store.register(await built(contents, name))).digest;
}

const isThere = (path: string) =>
  stat(join(root, "images", path)).then(
    () => true,
    () => false,
  );
const hasChunk = (content: Buffer) => isThere(chunkFile(nameOf(content)));

describe("a sweep", () => {
  it("takes the manifests that are not needed, and of their chunks those that no other has", async () => {
    const first = await register([shared, old]);
    const second = await register([shared, fresh]);
    const found = await store.survey(new Set([second]));
    const manifestBytes = (await readFile(join(root, "images", manifestFile(first)))).length;
    expect(found).toMatchObject({ manifests: [first], chunks: 1, bytes: 4096 + manifestBytes + 1 });
    // A survey changes nothing.
    expect(await store.verify(first)).toMatchObject({ bad: [] });

    await store.sweep(found);
    expect(await store.manifest(first)).toBeUndefined();
    expect(await store.signed(first)).toBeUndefined();
    expect([await hasChunk(old), await hasChunk(shared), await hasChunk(fresh)]).toEqual([false, true, true]);
    expect(await store.verify(second)).toMatchObject({ checked: 2, bad: [] });
    expect(await store.survey(new Set([second]))).toMatchObject({
      chunks: 0,
      bytes: 0,
      bytesLeft: found.bytesLeft,
    });
  });

  it("takes chunks without any manifest, what writers left behind, and no file that is not the store's", async () => {
    const digest = await register([shared]);
    const orphan = chunkFile("ab".repeat(32));
    await mkdir(join(root, "images", orphan, ".."), { recursive: true });
    await writeFile(join(root, "images", orphan), "content");
    await mkdir(join(root, "images", "incoming", "image-x"), { recursive: true });
    await writeFile(join(root, "images", "incoming", "image-x", "half"), "content");
    const temporary = join("manifests", `${digest}.binpb.0123456789ab.new`);
    await writeFile(join(root, "images", temporary), "half");
    await writeFile(join(root, "images", "README"), "mine");
    await writeFile(join(root, "images", "manifests", "notes.txt"), "mine");
    await store.sweep(await store.survey(new Set([digest])));
    const left = ["README", "manifests/notes.txt", orphan, "incoming", temporary];
    expect(await Promise.all(left.map(isThere))).toEqual([true, true, false, false, false]);
  });

  it("takes no chunk before the manifests that name it are gone", async () => {
    const first = await register([shared, old]);
    const found = await store.survey(new Set());
    // What cannot be removed as a file.
    await rm(join(root, "images", manifestFile(first)));
    await mkdir(join(root, "images", manifestFile(first)));
    await expect(store.sweep(found)).rejects.toThrow(/EISDIR/);
    expect([await hasChunk(old), await hasChunk(shared)]).toEqual([true, true]);
  });

  it("is refused while a manifest that is needed cannot be read: what it needs is not known", async () => {
    const [first, second] = [await register([shared, old]), await register([fresh])];
    await writeFile(join(root, "images", manifestFile(first)), "damaged");
    const restarted = new ImageStore(join(root, "images"), sign);
    await expect(restarted.survey(new Set([first, second]))).rejects.toMatchObject({ reason: "DAMAGED" });
    expect((await restarted.survey(new Set([second, "0".repeat(64)]))).manifests).toEqual([first]);
  });
});

describe("the quota", () => {
  it("keeps out what would not fit, and counts only what is new", async () => {
    const used = (await store.survey(new Set([await register([shared, old])]))).bytesLeft;
    const limited = new ImageStore(join(root, "images"), sign, used + 4096 + 1000);
    const before = await readdir(join(root, "images"), { recursive: true });
    const tooMuch = await built([shared, fresh, other]);
    await expect(limited.register(tooMuch)).rejects.toMatchObject({
      reason: "QUOTA",
      stored: used,
      quota: used + 5096,
      needed: 8192 + (await readFile(join(tooMuch, "manifest.binpb"))).length,
    });
    expect(await readdir(join(root, "images"), { recursive: true })).toEqual(before);
    await limited.register(await built([shared, fresh]));
    await expect(limited.register(await built([other]))).rejects.toMatchObject({ reason: "QUOTA" });
  });
});

it("does one thing at a time, and goes on after a failure", async () => {
  const steps: string[] = [];
  const work = (name: string) => () =>
    new Promise<void>((resolve, reject) => {
      steps.push(`${name} begins`);
      setTimeout(() => {
        steps.push(`${name} ends`);
        if (name === "first") reject(new Error("it failed"));
        else resolve();
      }, 5);
    });
  const first = store.exclusively(work("first"));
  const second = store.exclusively(work("second"));
  await expect(first).rejects.toThrow("it failed");
  await second;
  expect(steps).toEqual(["first begins", "first ends", "second begins", "second ends"]);
});
