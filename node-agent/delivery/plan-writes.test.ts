// Any image onto any disk, with anything on it, and stopped anywhere: a disk in memory does what the plan says.
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { orderMoves } from "./copy-order.ts";
import {
  extentAt,
  type Fetch,
  headBytes,
  headEnd,
  planChecks,
  planCopies,
  planFetches,
} from "./plan-writes.ts";
import { type CutImage, cutImage, Store } from "./testing/cut-image.ts";

const block = 4096;
const blocks = 640; // 2.5 MiB
const batchBytes = 32 * block;

/** Numbers that look random, the same in every run (mulberry32). */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

type Random = ReturnType<typeof generator>;

/** Blocks from a small stock, so that there is much that is alike; some of them zeros. */
function randomContent(random: Random): Buffer {
  const content = Buffer.alloc(blocks * block - (random(2) ? random(block) : 0));
  let at = 0;
  while (at < content.length) {
    const run = (1 + random(24)) * block;
    const first = random(5) === 0 ? undefined : random(400);
    for (let offset = at; offset < Math.min(at + run, content.length); offset += block) {
      if (first !== undefined)
        content.fill(stock(first + (offset - at) / block), offset, Math.min(offset + block, content.length));
    }
    at += run;
  }
  return content;
}

function stock(number: number): Buffer {
  return Buffer.alloc(block, createHash("sha256").update(`${number}`).digest());
}

/** The same with pieces moved about, changed and swapped. */
function rebuilt(content: Buffer, random: Random): Buffer {
  const shifted = Buffer.from(content);
  for (let change = 0; change < 1 + random(5); change++) {
    const [from, to] = [random(blocks) * block, random(blocks) * block];
    const bytes = random(200) * block;
    const piece = Buffer.from(content.subarray(from, from + bytes));
    if (random(3) === 0) shifted.fill(stock(1000 + random(50)), to, Math.min(to + bytes, shifted.length));
    else piece.copy(shifted, to);
    if (random(2)) content.copy(shifted, from, to, to + bytes);
  }
  return shifted;
}

class Crash extends Error {}

class MemoryDisk {
  readonly bytes: Buffer;
  writesLeft = Number.POSITIVE_INFINITY;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  write(content: Uint8Array, offset: number): void {
    if (this.writesLeft-- <= 0) {
      // Torn.
      this.bytes.set(content.subarray(0, Math.floor(content.length / 2 / 512) * 512), offset);
      throw new Crash();
    }
    this.bytes.set(content, offset);
  }

  spoil(at: number): void {
    this.bytes.writeUInt8(this.bytes.readUInt8(at) ^ 1, at);
  }

  holds(offset: number, sizeBytes: number, digest: Uint8Array, from: Buffer = this.bytes): boolean {
    return sha256(from.subarray(offset, offset + sizeBytes)).equals(digest);
  }
}

type Outcome = {
  fetched: Fetch[];
  verified: number[];
  failedCopies: number;
  copied: number;
  dropped: number;
};

/** As deliver.ts carries a plan out. */
function carryOut(image: CutImage, formers: ImageManifest[], disk: MemoryDisk, attempt: number): Outcome {
  const { manifest } = image;
  const end = headEnd(manifest);
  const head = Buffer.alloc(end);
  const needed = [...(attempt > 1 ? [manifest] : []), ...formers].map(headEnd);
  const snapshot = Buffer.from(disk.bytes.subarray(0, Math.max(0, ...needed)));
  disk.write(Buffer.alloc(Math.min(headBytes, image.content.length)), 0);
  const put = (content: Buffer, offset: number) =>
    offset < end ? content.copy(head, offset) : disk.write(content, offset);
  const read = (from: number, sizeBytes: number) =>
    Buffer.from(
      (from + sizeBytes <= snapshot.length ? snapshot : disk.bytes).subarray(from, from + sizeBytes),
    );
  const verified: number[] = [];
  for (const index of planChecks(manifest, formers, attempt)) {
    const { offset, sizeBytes, digest } = extentAt(manifest, index);
    const found = read(Number(offset), sizeBytes);
    if (!sha256(found).equals(digest)) continue;
    verified.push(index);
    if (offset < end) put(found, Number(offset));
  }
  const missing = [...manifest.extents.keys()].filter((index) => !verified.includes(index));
  const snapshotBytes = snapshot.length;
  const targetBytes = disk.bytes.length;
  const plan = planCopies({ manifest, formers, verified, missing, targetBytes, snapshotBytes, batchBytes });
  const failed: number[] = [];
  let copied = 0;
  for (const batch of plan.batches) {
    const held = batch.map(({ extent, from }) => read(from, extentAt(manifest, extent).sizeBytes));
    for (const [at, { extent }] of batch.entries()) {
      const { offset, digest } = extentAt(manifest, extent);
      const content = held[at] as Buffer;
      if (!sha256(content).equals(digest)) failed.push(extent);
      else {
        put(content, Number(offset));
        copied++;
      }
    }
  }
  for (const { offset, sizeBytes } of manifest.zeros) {
    const from = Math.max(Number(offset), end);
    const size = Number(offset + sizeBytes) - from;
    if (size > 0) disk.write(Buffer.alloc(size), from);
  }
  const fetched = planFetches(manifest, [...plan.fetch, ...failed]);
  for (const { extents } of fetched) {
    for (const index of extents) {
      const { offset, sizeBytes } = extentAt(manifest, index);
      put(image.content.subarray(Number(offset), Number(offset) + sizeBytes), Number(offset));
    }
  }
  disk.write(head, 0);
  return { fetched, verified, failedCopies: failed.length, copied, dropped: plan.fetch.length };
}

/** Everything is as in the image, but for what it says nothing about. */
function expectImage({ manifest, content }: CutImage, disk: MemoryDisk): void {
  for (const { offset, sizeBytes } of [...manifest.extents, ...manifest.zeros]) {
    const [from, to] = [Number(offset), Number(offset) + Number(sizeBytes)];
    if (!disk.bytes.subarray(from, to).equals(content.subarray(from, to))) {
      throw new Error(`what is at ${from} to ${to} is not the image's`);
    }
  }
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

describe("any image onto any disk", () => {
  it("is the image in the end, however often it was stopped, and fetches nothing that is there", () => {
    let copies = 0;
    let crashes = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const random = generator(seed);
      const store = new Store();
      const older = cutImage(randomContent(random), { store });
      const isFree = (offset: number) => (offset / block) % 7 < 3;
      const newer = cutImage(rebuilt(older.content, random), { store, isFree });
      const disk = new MemoryDisk(Buffer.alloc(blocks * block + random(3) * block, 0xaa));
      if (random(4)) older.content.copy(disk.bytes);
      for (let damage = random(4); damage > 0; damage--) disk.spoil(random(disk.bytes.length));
      const formers = random(5) ? [older.manifest] : [];
      for (let attempt = 1; ; attempt++) {
        disk.writesLeft = attempt < 4 ? random(30) : Number.POSITIVE_INFINITY;
        const before = Buffer.from(disk.bytes);
        try {
          const { fetched, verified, copied } = carryOut(newer, formers, disk, attempt);
          copies += copied;
          const isThere = new Set(verified);
          expect(fetched.flatMap(({ extents }) => extents).filter((index) => isThere.has(index))).toEqual([]);
          if (attempt > 1) {
            const wasThere = ({ offset, sizeBytes, digest }: ImageManifest["extents"][number]) =>
              disk.holds(Number(offset), sizeBytes, digest, before);
            expect(verified).toEqual(
              [...newer.manifest.extents.keys()].filter((index) => wasThere(extentAt(newer.manifest, index))),
            );
          }
          break;
        } catch (error) {
          if (!(error instanceof Crash)) throw error;
          crashes++;
          // Nothing to boot from is left.
          const head = disk.bytes.subarray(0, Math.min(headBytes, newer.content.length));
          if (disk.writesLeft < -1) expect(head.every((byte) => byte === 0)).toBe(true);
        }
      }
      expectImage(newer, disk);
    }
    // It would prove little otherwise.
    expect(copies).toBeGreaterThan(250);
    expect(crashes).toBeGreaterThan(150);
  });

  it("copies everything of an intact disk that the former image had, but for circles that are too large", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = generator(seed * 31);
      const store = new Store();
      const older = cutImage(randomContent(random), { store });
      const newer = cutImage(rebuilt(older.content, random), { store });
      const disk = new MemoryDisk(Buffer.concat([older.content, Buffer.alloc(block, 0xaa)]));
      const { failedCopies } = carryOut(newer, [older.manifest], disk, 1);
      // What was read had not been written over.
      expect(failedCopies).toBe(0);
      expectImage(newer, disk);
    }
  });
});

describe("the order of moves", () => {
  const move = (from: number, to: number, sizeBytes: number) => ({
    from,
    to,
    sizeBytes,
    sourceHeld: false,
    writtenLater: false,
  });

  it("moves a chain from its free end", () => {
    const moves = [move(0, 10, 10), move(10, 20, 10), move(20, 30, 10)];
    expect(orderMoves(moves, 10)).toEqual({ batches: [[2], [1], [0]], dropped: [] });
  });

  it("puts a circle into one batch, and gives one of it up if it is too large", () => {
    const circle = [move(0, 10, 10), move(10, 20, 10), move(20, 0, 10)];
    const { batches, dropped } = orderMoves(circle, 30);
    expect(batches.map((batch) => [...batch].sort())).toEqual([[0, 1, 2]]);
    expect(dropped).toEqual([]);
    const smaller = orderMoves(circle, 20);
    expect(smaller.dropped).toHaveLength(1);
    expect(smaller.batches.flat()).toHaveLength(2);
  });

  it("never writes over what a later batch reads, whatever the moves, and gives few up", () => {
    let dropped = 0;
    let all = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const random = generator(seed);
      const places = [...Array(200).keys()].sort(() => random(3) - 1);
      const moves = places.map((from, to) => move(from * 10 + random(3), to * 10, 5 + random(5)));
      const order = orderMoves(moves, 100 + random(400));
      const seen = [...order.batches.flat(), ...order.dropped].sort((a, b) => a - b);
      expect(seen).toEqual([...moves.keys()]);
      for (const [at, batch] of order.batches.entries()) {
        const later = order.batches.slice(at + 1).flat();
        for (const writer of batch) {
          const { to, sizeBytes } = moves[writer] as (typeof moves)[number];
          const harmed = later.filter((one) => {
            const { from, sizeBytes: size } = moves[one] as (typeof moves)[number];
            return from < to + sizeBytes && to < from + size;
          });
          expect(harmed).toEqual([]);
        }
      }
      dropped += order.dropped.length;
      all += moves.length;
    }
    expect(dropped).toBeLessThan(all / 10);
  });
});
