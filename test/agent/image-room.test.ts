// An image store whose disk has too little room, on small file systems of their own.
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { blocks, writeBuiltImage } from "../../daemon/drivers/image-fixture.ts";
import { ImageStore } from "../../daemon/drivers/image-store.ts";
import { run } from "../rack/command.ts";

let root: string;
let disk: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "muster-room-"));
  disk = join(root, "disk");
  await mkdir(disk);
});
afterEach(() => rm(root, { recursive: true }));

async function onSmallDisk<T>(options: string, work: (store: ImageStore) => Promise<T>): Promise<T> {
  await run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk]);
  try {
    return await work(new ImageStore(join(disk, "images"), () => new Uint8Array([1])));
  } finally {
    await run(["umount", disk]);
  }
}

async function built(name: string, contents: Buffer[]): Promise<string> {
  await writeBuiltImage(join(root, name), contents);
  return join(root, name);
}

async function filesOnDisk(): Promise<string[]> {
  const entries = await readdir(disk, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

it("refuses what would fill it, before it is full, and takes what fits", async () => {
  const large = await built(
    "large",
    Array.from({ length: 16 }, (_, i) => blocks(`large ${i} `, 128)),
  );
  const small = await built("small", [blocks("small", 128)]);
  await onSmallDisk("size=8m", async (store) => {
    const refusal = store.register(large);
    await expect(refusal).rejects.toMatchObject({ reason: "DISK_FULL" });
    await expect(refusal).rejects.toThrow(/it needs 8388608 bytes, and the disk of .*images has \d+ left/);
    expect(await filesOnDisk()).toEqual([]);
    const { digest } = await store.register(small);
    expect(await store.verify(digest)).toMatchObject({ checked: 1, bad: [] });
    // It is no larger when its content is moved: it comes from another disk.
    await expect(store.register(large, { move: true })).rejects.toMatchObject({ reason: "DISK_FULL" });
    expect(await filesOnDisk()).toHaveLength(3);
  });
});

it("keeps nothing of an image at whatever point the disk is full", async () => {
  const contents = ["a", "b", "c"].map((text) => blocks(text));
  let refusals = 0;
  for (let inodes = 2; ; inodes++) {
    const directory = await built("image", contents);
    const isIn = await onSmallDisk(`size=8m,nr_inodes=${inodes}`, async (store) => {
      try {
        const { digest } = await store.register(directory, { move: true });
        expect(await store.verify(digest)).toMatchObject({ checked: 3, bad: [] });
        return true;
      } catch (error) {
        expect(error).toMatchObject({ reason: "DISK_FULL" });
        expect(await filesOnDisk(), `with ${inodes} inodes`).toEqual([]);
        return false;
      }
    });
    if (isIn) break;
    refusals++;
  }
  // One for every file and directory that an image of three chunks makes.
  expect(refusals).toBeGreaterThan(8);
});
