// Deliveries onto a plain file from sources in this process.
import { createCipheriv } from "node:crypto";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ImageSource } from "../../proto/gen/muster/v1/delivery_pb.ts";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { Verify } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { chunkName } from "../../proto/image/layout.ts";
import { type Delivery, type DeliveryContext, deliver } from "./deliver.ts";
import { type CutImage, cutImage, Store } from "./testing/cut-image.ts";
import { TestSource } from "./testing/server.ts";

const MiB = 1 << 20;
let directory: string;
let path: string;
let store: Store;
let image: CutImage;
let source: TestSource;
let reports: string[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "deliver-"));
  path = join(directory, "disk");
  store = new Store();
  image = cutImage(content(1), { store });
  source = await new TestSource([image], store).open();
  reports = [];
});
afterEach(async () => {
  await source[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

/** Bytes that do not compress, the same in every run. */
function noise(seed: number, length: number): Buffer {
  const key = Buffer.alloc(16, seed);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** 12 MiB and a bit: noise, text and holes. */
function content(seed: number): Buffer {
  const text = Buffer.from("the same line again and again\n".repeat(80_000));
  const parts = [
    noise(seed, 3 * MiB),
    Buffer.alloc(2 * MiB),
    text,
    Buffer.alloc(1 * MiB),
    noise(seed + 1, 4 * MiB),
  ];
  return Buffer.concat([...parts, noise(seed + 2, 12_345)]);
}

/** A disk full of something else. */
function dirtyDisk(bytes = 16 * MiB): void {
  writeFileSync(path, Buffer.alloc(bytes, 0xaa));
}

function context(changes: Partial<DeliveryContext> = {}): DeliveryContext {
  return {
    signal: new AbortController().signal,
    progress: () => {},
    report: async (from, fault) => void reports.push(`${from.mirror}: ${fault}`),
    log: () => {},
    ...changes,
  };
}

function order(sources: ImageSource[], changes: Partial<Delivery> = {}): Delivery {
  const { manifest, digest } = image;
  return { path, manifest, digest, sources, formers: [], attempt: 1, verify: Verify.NONE, ...changes };
}

function expectOnDisk(expected = image.content): void {
  const found = readFileSync(path);
  expect(found.subarray(0, expected.length).equals(expected)).toBe(true);
  expect(found.subarray(expected.length).every((byte) => byte === 0xaa)).toBe(true);
}

const contentBytes = ({ extents }: ImageManifest) =>
  extents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
const storedBytes = ({ chunks }: ImageManifest) => chunks.reduce((sum, one) => sum + one.storedBytes, 0);

describe("a whole image", () => {
  it.each(["grpc", "http"] as const)("arrives bit by bit over %s", async (way) => {
    dirtyDisk();
    const tally = await deliver(order([source[way]()], { verify: Verify.FULL }), context());
    expectOnDisk();
    const total = contentBytes(image.manifest);
    expect(tally).toMatchObject({
      total,
      moved: storedBytes(image.manifest),
      fetched: total,
      written: total,
    });
    expect(tally).toMatchObject({ copied: 0, skipped: 0 });
    expect(tally.verified).toBeGreaterThanOrEqual(image.content.length);
    expect(source.sent).toHaveLength(image.manifest.chunks.length);
  });
});

describe("what the disk holds already", () => {
  it("is not moved again, and written only where it belongs", async () => {
    dirtyDisk();
    await deliver(order([source.grpc()]), context());
    source.sent.length = 0;
    const damaged = readFileSync(path);
    damaged.writeUInt8(damaged.readUInt8(9 * MiB) ^ 1, 9 * MiB);
    writeFileSync(path, damaged);
    const tally = await deliver(order([source.http()], { attempt: 2 }), context());
    expectOnDisk();
    expect(source.sent).toHaveLength(1);
    expect(tally.skipped + tally.fetched).toBe(tally.total);
    expect(tally.copied).toBe(0);
  });

  it("is taken from another place if a former image had it there", async () => {
    const shifted = Buffer.concat([noise(9, 40_960), image.content]);
    const newer = cutImage(shifted, { store });
    source.images.push(newer);
    dirtyDisk();
    await deliver(order([source.grpc()]), context());
    source.sent.length = 0;
    const changes = { ...newer, formers: [image.manifest], verify: Verify.FULL };
    const tally = await deliver(order([source.http()], changes), context());
    expectOnDisk(shifted);
    expect(source.sent.length).toBeLessThan(4);
    expect(tally.copied).toBeGreaterThan(tally.total * 0.9);
    expect(tally.copied + tally.fetched + tally.skipped).toBe(tally.total);
  });
});

describe("sources", () => {
  /** Of the chunk with this index. */
  const name = (index: number) => chunkName(image.manifest.chunks[index] as ImageManifest["chunks"][number]);
  const flipped = (stored: Buffer) => {
    const damaged = Buffer.from(stored);
    damaged.writeUInt8(damaged.readUInt8(100) ^ 1, 100);
    return damaged;
  };
  const cut = (stored: Buffer) => stored.subarray(0, stored.length - 1);

  it.each([
    ["grpc", "a flipped bit", flipped],
    ["http", "a flipped bit", flipped],
    ["grpc", "a truncated chunk", cut],
    ["http", "a truncated chunk", cut],
  ] as const)("that lie over %s (%s) are reported and passed over", async (way, _, distort) => {
    dirtyDisk();
    await using liar = await new TestSource([image], store).open();
    liar.distort = (asked, stored) => (asked === name(3) ? distort(stored) : stored);
    await deliver(order([liar[way]("liar"), source[way]("honest")]), context());
    expectOnDisk();
    expect(reports).toHaveLength(1);
    expect(reports[0]).toMatch(/^liar: chunk 3: /);
    expect(source.sent).toContain(name(3));
  });

  it.each(["grpc", "http"] as const)("that get it right the second time over %s are enough", async (way) => {
    dirtyDisk();
    let flips = 1;
    source.distort = (asked, stored) => (asked === name(2) && flips-- > 0 ? flipped(stored) : stored);
    await deliver(order([source[way]()]), context());
    expectOnDisk();
    expect(reports).toHaveLength(1);
  });

  it("that all have it wrong fail the delivery, with what is to be repaired", async () => {
    dirtyDisk();
    await using other = await new TestSource([image], store).open();
    for (const one of [source, other]) {
      one.distort = (asked, stored) => (asked === name(3) ? flipped(stored) : stored);
    }
    const [extent] = image.manifest.extents.filter(({ chunk }) => chunk === 3);
    const failure = await deliver(order([source.grpc("a"), other.http("b")]), context()).catch(
      (error: Error) => error.message,
    );
    expect(failure).toMatch(
      new RegExp(
        `^image tiny: chunk 3 at offset ${extent?.offset} is right nowhere: mirror [ab] \\(.*\\): expected sha256 ` +
          `${name(3)}, found [0-9a-f]{64}; mirror .*; nothing of it was written. Repair the store with ` +
          "`muster image repair` and retry.$",
      ),
    );
    const disk = readFileSync(path);
    expect(disk.subarray(0, MiB).every((byte) => byte === 0)).toBe(true);
    const at = Number(extent?.offset);
    expect(disk.subarray(at, at + 4096).every((byte) => byte === 0xaa)).toBe(true);
  });

  it("that have not got a chunk are passed over, and nobody is blamed", async () => {
    dirtyDisk();
    await using poor = await new TestSource([image], store).open();
    poor.distort = (asked, stored) => (asked === name(1) ? undefined : stored);
    await deliver(order([poor.http("poor"), source.grpc("rich")]), context());
    expectOnDisk();
    expect(reports).toEqual([]);
  });

  it.each(["grpc", "http"] as const)(
    "that go away over %s are waited for, and asked for the rest",
    async (way) => {
      dirtyDisk();
      let chunks = 0;
      source.beforeChunk = () => {
        if (++chunks !== 6) return;
        source.close();
        setTimeout(() => void source.open(), 500);
      };
      await deliver(order([source[way]()]), context());
      expectOnDisk();
      // What was under way is asked for again.
      expect(source.sent.length).toBeLessThan(image.manifest.chunks.length * 2);
    },
  );

  it("that stay away are given up in the end", async () => {
    dirtyDisk();
    source.close();
    const failure = deliver(order([source.grpc(), source.http()]), context({ patienceMs: 300 }));
    await expect(failure).rejects.toThrow(
      /^no source gives the image: the daemon \(grpc 127.0.0.1\): .*ECONNREFUSED/,
    );
  });

  it("that end a connection after some answers cost no chunk", async () => {
    dirtyDisk();
    source.close();
    source.answersPerConnection = 3;
    await source.open();
    await deliver(order([source.http()]), context());
    expectOnDisk();
    expect(reports).toEqual([]);
  });

  it("that answer with something else than HTTP are passed over", async () => {
    dirtyDisk();
    const server = createServer((socket) => socket.once("data", () => socket.end("220 mail\r\n\r\n")));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const odd = { ...source.http("odd"), address: `http://127.0.0.1:${port}/` };
    await deliver(order([odd, source.http("right")]), context());
    server.close();
    expectOnDisk();
  });

  it("are located anew when a ticket is not taken any more", async () => {
    dirtyDisk();
    source.ticket = "fresh";
    let located = 0;
    const relocate = async () => {
      located++;
      return [source.grpc()];
    };
    const stale = { ...source.grpc(), ticket: "stale" };
    await deliver(order([stale]), context({ relocate }));
    expectOnDisk();
    expect(located).toBeGreaterThan(0);
  });
});

describe("disks", () => {
  it("that are too small are not touched", async () => {
    dirtyDisk(8 * MiB);
    const size = image.content.length;
    await expect(deliver(order([source.grpc()]), context())).rejects.toThrow(
      `image tiny needs ${size} bytes, ${path} has ${8 * MiB}.`,
    );
    expect(readFileSync(path).every((byte) => byte === 0xaa)).toBe(true);
  });

  it("that do not keep what was written are found out, and left with nothing to boot", async () => {
    dirtyDisk();
    let isDamaged = false;
    const progress: DeliveryContext["progress"] = (tally) => {
      if (isDamaged || tally.fetched < tally.total) return;
      isDamaged = true;
      const file = openSync(path, "r+");
      writeSync(file, Buffer.alloc(1), 0, 1, 10 * MiB);
      closeSync(file);
    };
    const delivery = deliver(order([source.grpc()], { verify: Verify.FULL }), context({ progress }));
    await expect(delivery).rejects.toThrow(
      /reads something else than what was written at offset \d+\. Replace/,
    );
    expect(
      readFileSync(path)
        .subarray(0, MiB)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  it("are left alone when the delivery is cancelled", async () => {
    dirtyDisk();
    const cancel = new AbortController();
    let chunks = 0;
    source.beforeChunk = () => {
      if (++chunks === 5) cancel.abort();
    };
    await expect(deliver(order([source.http()]), context({ signal: cancel.signal }))).rejects.toThrow(
      "aborted",
    );
    expect(
      readFileSync(path)
        .subarray(0, MiB)
        .every((byte) => byte === 0),
    ).toBe(true);
  });
});
