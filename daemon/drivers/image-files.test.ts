// Reading manifests often: they are decoded once, and not all of them for ever.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { manifestFile } from "../../proto/image/layout.ts";
import { ImageFiles } from "./image-files.ts";
import { blocks, writeBuiltImage } from "./image-fixture.ts";
import { ImageStore } from "./image-store.ts";

let root: string;
let digests: string[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "muster-files-"));
  digests = [];
  const store = new ImageStore(join(root, "images"), () => new Uint8Array([1]));
  for (const version of ["1", "2", "3"]) {
    const built = join(root, version);
    await writeBuiltImage(built, [blocks("same")], { version });
    digests.push((await store.register(built)).digest);
  }
});
afterEach(() => rm(root, { recursive: true }));

it("decodes a manifest once for all that ask at the same time and later", async () => {
  const files = new ImageFiles(join(root, "images"));
  const [digest = ""] = digests;
  const [first, second] = await Promise.all([files.manifest(digest), files.manifest(digest)]);
  expect(first?.version).toBe("1");
  expect(second).toBe(first);
  expect(await files.manifest(digest)).toBe(first);
});

it("lets go of those that were not asked for longest", async () => {
  const [first = "", second = "", third = ""] = digests;
  const bytes = (await new ImageFiles(join(root, "images")).signed(first))?.manifest.length ?? 0;
  const files = new ImageFiles(join(root, "images"), 2 * bytes);
  const before = await Promise.all([first, second].map((digest) => files.manifest(digest)));
  await files.manifest(first);
  await files.manifest(third);
  expect(await files.manifest(first)).toBe(before[0]);
  expect(await files.manifest(second)).not.toBe(before[1]);
  expect(await files.manifest(second)).toEqual(before[1]);
});

it("keeps one that is larger than all that it may keep, and does not remember that there is none", async () => {
  const files = new ImageFiles(join(root, "images"), 1);
  const [digest = ""] = digests;
  expect(await files.manifest(digest)).toBe(await files.manifest(digest));
  const absent = new ImageFiles(join(root, "later"));
  expect(await absent.manifest(digest)).toBeUndefined();
  await new ImageStore(join(root, "later"), () => new Uint8Array([1])).register(join(root, "1"));
  expect((await absent.manifest(digest))?.version).toBe("1");
  await rm(join(root, "later", manifestFile(digest)));
  expect((await absent.manifest(digest))?.version).toBe("1");
  absent.forget(digest);
  expect(await absent.manifest(digest)).toBeUndefined();
});
