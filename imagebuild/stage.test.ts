import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createProgress } from "./progress.ts";
import { stage, stageKey, type Workshop, withWorkshop } from "./stage.ts";

let stateDirectory: string;
let lines: string[];
beforeEach(async () => {
  stateDirectory = await mkdtemp(join(tmpdir(), "stage-"));
  lines = [];
});
afterEach(() => rm(stateDirectory, { recursive: true }));

function build<T>(work: (shop: Workshop) => Promise<T>, fresh = false): Promise<T> {
  const progress = createProgress(
    (line) => lines.push(line),
    () => 0,
  );
  return withWorkshop({ stateDirectory, fresh, progress, signal: new AbortController().signal }, work);
}

const make = (content: string) => (target: string) => writeFile(target, content);
const cached = () => readdir(join(stateDirectory, "build/cache"));

test("a key depends on every input, not on the order of fields", () => {
  const key = stageKey({ suite: "bookworm", packages: ["a", "b"] });
  expect(stageKey({ packages: ["a", "b"], suite: "bookworm" })).toBe(key);
  expect(stageKey({ suite: "bookworm", packages: ["b", "a"] })).not.toBe(key);
  expect(stageKey({ suite: "bookworm", packages: ["a", "b"], agent: null })).not.toBe(key);
});

test("a stage with the same inputs is made once", async () => {
  await build((shop) => stage(shop, "rootfs", { suite: "bookworm" }, make("first")));
  const path = await build((shop) => stage(shop, "rootfs", { suite: "bookworm" }, make("second")));
  expect(await readFile(path, "utf8")).toBe("first");
  expect(lines).toEqual(["rootfs                   unchanged, reused"]);
});

test("a stage with other inputs takes the older one's place, and only of its own label", async () => {
  await build((shop) => stage(shop, "rootfs", 1, make("one")));
  await build((shop) => stage(shop, "rootfs-metal", 1, make("metal")));
  const path = await build((shop) => stage(shop, "rootfs", 2, make("two")));
  expect(await readFile(path, "utf8")).toBe("two");
  expect((await cached()).map((name) => name.replace(/-[0-9a-f]{20}$/, ""))).toEqual([
    "rootfs",
    "rootfs-metal",
  ]);
});

test("a fresh build reuses nothing", async () => {
  await build((shop) => stage(shop, "rootfs", 1, make("old")));
  const path = await build((shop) => stage(shop, "rootfs", 1, make("new")), true);
  expect(await readFile(path, "utf8")).toBe("new");
});

test("a stage that fails leaves no result and no scratch", async () => {
  const failing = build((shop) =>
    stage(shop, "rootfs", 1, async (target) => {
      await writeFile(target, "half");
      throw new Error("no space left");
    }),
  );
  await expect(failing).rejects.toThrow("no space left");
  expect(await cached()).toEqual([]);
  expect(await readdir(join(stateDirectory, "build/scratch"))).toEqual([]);
});
