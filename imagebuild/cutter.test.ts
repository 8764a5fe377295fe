import { crc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type BlockBytes, Cutter, extentBytesMax, extentBytesMin, type Range } from "./cutter.ts";

const KiB = 1024;

type Cut = { extents: { offset: number; content: Buffer }[]; zeros: Range[] };

/** `used`: the parts that are content; the rest of the image is holes. Each is fed in pieces of `piece` bytes. */
function cut(
  image: Buffer,
  blockBytes: BlockBytes,
  piece = image.length || 1,
  used: Range[] = whole(image),
): Cut {
  const extents: Cut["extents"] = [];
  const cutter = new Cutter(blockBytes, (offset, content) =>
    extents.push({ offset, content: Buffer.from(content) }),
  );
  for (const { offset, size } of used) {
    if (offset > cutter.position) cutter.hole(offset - cutter.position);
    for (let at = offset; at < offset + size; at += piece) {
      // As the reader does: the same memory every time.
      shared.set(image.subarray(at, Math.min(at + piece, offset + size)));
      cutter.data(shared.subarray(0, Math.min(piece, offset + size - at)));
    }
  }
  cutter.end();
  expect(cutter.position).toBe(image.length);
  return { extents, zeros: cutter.zeros };
}

const shared = Buffer.alloc(4 << 20);
const whole = (image: Buffer): Range[] => [{ offset: 0, size: image.length }];

/** Random bytes that are the same for the same seed. */
function noise(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed | 1;
  for (let at = 0; at + 4 <= size; at += 4) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    bytes.writeInt32LE(state | 0, at);
  }
  return bytes;
}

/** What the target holds at last if it held `old` bytes before. */
function rebuilt({ extents, zeros }: Cut, size: number, old: number): Buffer {
  const target = Buffer.alloc(size, old);
  for (const { offset, content } of extents) content.copy(target, offset);
  for (const { offset, size: length } of zeros) target.fill(0, offset, offset + length);
  return target;
}

const runs = fc.array(
  fc.record({
    kind: fc.constantFrom("data", "data", "zeros", "hole"),
    blocks: fc.integer({ min: 1, max: 90 }),
  }),
  { maxLength: 12 },
);

for (const blockBytes of [512, 4096] as const) {
  test(`any image in blocks of ${blockBytes} comes back, zeros included, holes untouched`, () => {
    const pieces = fc.integer({ min: 1, max: 40 }).map((blocks) => blocks * blockBytes);
    fc.assert(
      fc.property(runs, pieces, fc.integer({ min: 0, max: blockBytes - 1 }), (list, piece, tail) => {
        const used: Range[] = [];
        let size = 0;
        for (const { kind, blocks } of list) {
          if (kind !== "hole") used.push({ offset: size, size: blocks * blockBytes });
          size += blocks * blockBytes;
        }
        used.push({ offset: size, size: tail });
        size += tail;
        const image = Buffer.alloc(size, 0x55);
        for (const [i, { offset, size: length }] of used.entries()) {
          if (list.filter(({ kind }) => kind !== "hole")[i]?.kind === "zeros")
            image.fill(0, offset, offset + length);
          else noise(length, i + 1).copy(image, offset);
        }
        const result = cut(image, blockBytes, piece, used);
        expect(rebuilt(result, size, 0x55).equals(image)).toBe(true);
        let end = -1;
        for (const { offset, content } of result.extents) {
          expect(offset).toBeGreaterThanOrEqual(Math.max(end, 0));
          end = offset + content.length;
          expect(offset % blockBytes).toBe(0);
          expect(end % blockBytes === 0 || end === size).toBe(true);
          expect(content.length).toBeLessThanOrEqual(extentBytesMax);
        }
        for (const [i, zero] of result.zeros.entries()) {
          const before = result.zeros[i - 1];
          if (before) expect(zero.offset).toBeGreaterThan(before.offset + before.size);
        }
        // Not a byte of a hole is in an extent or is to be zeroed.
        const covered = result.extents.reduce((sum, { content }) => sum + content.length, 0);
        const zeroed = result.zeros.reduce((sum, zero) => sum + zero.size, 0);
        expect(covered + zeroed).toBe(used.reduce((sum, range) => sum + range.size, 0));
      }),
      { numRuns: 60 },
    );
  });
}

test("the cuts do not depend on how the content is read", () => {
  const image = Buffer.concat([noise(900 * KiB, 1), Buffer.alloc(40 * KiB), noise(700 * KiB, 2)]);
  expect(cut(image, 4096, 4096)).toEqual(cut(image, 4096));
  expect(cut(image, 512, 512)).toEqual(cut(image, 512));
});

test("an extent ends by the rule: after a block whose crc32 ends in four zero bits, from 16 to 256 KiB", () => {
  const { extents } = cut(noise(4 << 20, 7), 4096);
  expect(extents.length).toBeGreaterThan(20);
  for (const { content } of extents.slice(0, -1)) {
    const ends = (at: number) => (crc32(content.subarray(at, at + 4096)) & 15) === 0;
    const first = [...Array(content.length / 4096).keys()]
      .map((i) => i * 4096)
      .find((at) => at + 4096 >= extentBytesMin && ends(at));
    expect(content.length).toBe(first === undefined ? extentBytesMax : first + 4096);
  }
});

test("content that has moved gives the same extents again, but for the first", () => {
  const content = noise(3 << 20, 3);
  const digests = (image: Buffer) =>
    cut(image, 4096).extents.map((extent) => extent.content.toString("base64"));
  const before = digests(content);
  const moved = new Set(digests(Buffer.concat([noise(9 * 4096, 4), content])));
  expect(before.filter((extent) => !moved.has(extent)).length).toBeLessThanOrEqual(1);
});

test("a few zero blocks of a tar stay content, many do not, and a zero block of a file system never does", () => {
  const tar = Buffer.concat([
    noise(20 * KiB, 1),
    Buffer.alloc(3 * KiB),
    noise(2 * KiB, 2),
    Buffer.alloc(5 * KiB),
  ]);
  const { extents, zeros } = cut(tar, 512);
  expect(extents.map(({ offset, content }) => [offset, content.length])).toEqual([[0, 25 * KiB]]);
  expect(zeros).toEqual([{ offset: 25 * KiB, size: 5 * KiB }]);
  const disk = Buffer.concat([noise(4 * KiB, 1), Buffer.alloc(4 * KiB), noise(4 * KiB, 2)]);
  expect(cut(disk, 4096).zeros).toEqual([{ offset: 4 * KiB, size: 4 * KiB }]);
});
