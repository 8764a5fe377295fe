// Torrent and tracker with aria2c, a client that others have made: it joins by the torrent file and fetches from the
// web seed, then from a peer.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chunkFile } from "../../proto/image/layout.ts";
import { bencode } from "./bencode.ts";
import { startTestPlane, type TestPlane } from "./testing/plane.ts";
import { type StoredImage, storeImage } from "./testing/store.ts";
import { Tracker } from "./tracker.ts";

let plane: TestPlane;
let image: StoredImage;
let directory: string;

beforeAll(async () => {
  plane = await startTestPlane();
  // The last piece is not a whole one.
  image = await storeImage(plane.directory, 50, 60 << 10);
  directory = await mkdtemp(join(tmpdir(), "muster-swarm-"));
}, 30_000);
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

it("writes numbers, texts, lists and dictionaries in the order of their keys", () => {
  const text = bencode({ b: [1, -2, "ü"], a: { z: Buffer.from([0xff]), "0": "" } }).toString("latin1");
  expect(text).toBe("d1:ad1:00:1:z1:\xffe1:bli1ei-2e2:\xc3\xbcee");
});

async function torrent(): Promise<Buffer> {
  const response = await fetch(`${plane.base([image.digest])}torrent/${image.digest}.torrent`);
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

const infoOf = (file: Buffer) =>
  file.subarray(file.indexOf("4:infod") + "4:info".length, file.lastIndexOf("8:url-list"));

describe("a torrent", () => {
  it("is the same for every node, but for its tickets, and is refused to others", async () => {
    const first = await torrent();
    expect(infoOf(await torrent())).toEqual(infoOf(first));
    const pieces = Buffer.concat(image.chunks.map(({ content }) => content));
    const last = createHash("sha1").update(pieces.subarray(Math.floor(pieces.length / 2 ** 20) * 2 ** 20));
    expect(first.includes(last.digest())).toBe(true);
    const other = plane.base(["e".repeat(64)]);
    expect((await fetch(`${other}torrent/${image.digest}.torrent`)).status).toBe(403);
  });

  it("can be fetched with aria2c from the web seed alone", async () => {
    const to = join(directory, "seeded");
    const file = join(directory, "a.torrent");
    await writeFile(file, await torrent());
    const port = 40_000 + Math.floor(Math.random() * 20_000);
    execFileSync("aria2c", [...quiet(port), "--seed-time=0", "--dir", to, file], { timeout: 20_000 });
    for (const { name, content } of image.chunks) {
      expect(Buffer.compare(await readFile(join(to, chunkFile(name))), content)).toBe(0);
    }
  }, 30_000);

  it("can be fetched from a peer that the tracker names, without any web seed", async () => {
    const file = join(directory, "b.torrent");
    const whole = await torrent();
    await writeFile(file, whole);
    const seeding = join(directory, "seeding");
    const [first, second] = [40_000, 40_001].map((port) => port + 2 * Math.floor(Math.random() * 9_000));
    const seeder = spawn("aria2c", [...quiet(first ?? 0), "--seed-ratio=0.0", "--dir", seeding, file]);
    try {
      await untilAll(seeding, seeder);
      const without = Buffer.concat([whole.subarray(0, whole.lastIndexOf("8:url-list")), Buffer.from("e")]);
      await writeFile(file, without);
      const to = join(directory, "leeched");
      execFileSync("aria2c", [...quiet(second ?? 0), "--seed-time=0", "--dir", to, file], {
        timeout: 40_000,
      });
      for (const { name, content } of image.chunks) {
        expect(Buffer.compare(await readFile(join(to, chunkFile(name))), content)).toBe(0);
      }
    } finally {
      seeder.kill("SIGKILL");
      await once(seeder, "exit");
    }
  }, 60_000);
});

describe("the tracker", () => {
  it("names the others of a swarm until they leave or fall silent", () => {
    let nowMs = 0;
    const tracker = new Tracker(() => nowMs);
    const says = (hash: string, last: number, stopped = false) =>
      tracker.announce({ hash, address: `10.0.0.${last}`, port: 6881, stopped }).toString("latin1");
    const peer = (last: number) => Buffer.from([10, 0, 0, last, 0x1a, 0xe1]).toString("latin1");
    expect(says("h", 1)).toBe("d8:intervali10e5:peers0:e");
    expect(says("h", 2)).toBe(`d8:intervali10e5:peers6:${peer(1)}e`);
    expect(says("other", 3)).toContain("peers0:");
    nowMs = 30_000;
    expect(says("h", 2)).toContain(peer(1));
    expect(says("h", 1, true)).toContain(peer(2));
    expect(says("h", 2)).toContain("peers0:");
    expect(says("h", 4)).toContain(peer(2));
    nowMs = 70_000;
    expect(says("h", 5)).toContain("peers0:");
  });

  it("refuses whoever asks for another torrent than the ticket's", async () => {
    const answer = await fetch(`${plane.base([image.digest])}announce?info_hash=%00&port=6881`);
    expect(await answer.text()).toBe("d14:failure reason33:the ticket is for another torrente");
  });
});

function quiet(port: number): string[] {
  return [
    ...["--quiet", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false"],
    ...["--enable-peer-exchange=false", "--file-allocation=none", `--listen-port=${port}`, "--no-conf"],
  ];
}

async function untilAll(to: string, seeder: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (seeder.exitCode !== null) throw new Error("aria2c has ended");
    const found = await Promise.all(
      image.chunks.map(async ({ name, content }) => {
        const bytes = await readFile(join(to, chunkFile(name))).catch(() => undefined);
        return bytes?.equals(content);
      }),
    );
    if (found.every(Boolean)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("aria2c has not fetched everything");
}
