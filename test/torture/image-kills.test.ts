// An image store whose process is killed at random moments: whatever it then holds must be believed.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ImageStore } from "../../daemon/drivers/image-store.ts";

const kills = 8;
const child = new URL("./image-child.ts", import.meta.url).pathname;
let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "muster-image-kills-"));
});
afterEach(() => rm(root, { recursive: true }));

it("never holds a chunk that is not what its name says, nor a manifest without its chunks", async () => {
  const [directory, built] = [join(root, "images"), join(root, "built")];
  let registered = 0;
  let interrupted = 0;
  let round = 0;
  for (let kill = 0; kill < kills; kill++) {
    round = await liveAndDie(directory, built, round);
    const store = new ImageStore(directory, () => new Uint8Array([1]));
    interrupted += (await filesIn(join(directory, "incoming"))).length > 0 ? 1 : 0;
    for (const path of await filesIn(join(directory, "chunks"))) {
      const found = createHash("sha256")
        .update(await readFile(path))
        .digest("hex");
      expect(path.endsWith(`/${found}`), path).toBe(true);
    }
    const digests = await manifestsIn(directory);
    for (const digest of digests) {
      expect((await store.verify(digest)).bad).toEqual([]);
      expect(await store.signed(digest)).toBeDefined();
    }
    registered += digests.length;
    // What was being registered can be registered again, also if it was being moved.
    for (const source of (await readdir(built)).filter((name) => !name.endsWith(".part"))) {
      const { digest } = await store.register(join(built, source), { move: true });
      expect((await store.verify(digest)).bad).toEqual([]);
    }
    await store.removeLeftovers();
    const leftovers = (await filesIn(directory)).filter((path) => /incoming|\.new$/.test(path));
    expect(leftovers).toEqual([]);
    await rm(built, { recursive: true });
  }
  // Otherwise it would have shown nothing.
  expect(registered).toBeGreaterThan(0);
  expect(interrupted).toBeGreaterThan(0);
}, 120_000);

/** Returns the round after that in which it was killed. */
async function liveAndDie(directory: string, built: string, begin: number): Promise<number> {
  const args = [child, directory, built, `${begin}`];
  const life = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let round = begin;
  const begun = Promise.withResolvers<void>();
  createInterface({ input: life.stdout }).on("line", (line) => {
    round = Number(line.slice("round ".length));
    begun.resolve();
  });
  const ended = once(life, "exit");
  await Promise.race([begun.promise, ended]);
  await delay(Math.random() * 150);
  life.kill("SIGKILL");
  const [code, signal] = await ended;
  expect([code, signal]).toEqual([null, "SIGKILL"]);
  return round + 1;
}

async function manifestsIn(directory: string): Promise<string[]> {
  const names = (await filesIn(join(directory, "manifests"))).map((path) =>
    path.slice(path.lastIndexOf("/") + 1),
  );
  return names.flatMap((name) => /^([0-9a-f]{64})\.binpb$/.exec(name)?.[1] ?? []);
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}
