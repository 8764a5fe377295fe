import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fileParts, readBytes, reads, streamParts } from "./parts.ts";

const holes = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 3000 })), { maxLength: 30 })
  .map((pairs) => {
    let at = 0;
    return pairs.map(([gap, blocks]) => {
      const offset = at + gap * 4096;
      at = offset + blocks * 4096;
      return { offset, size: blocks * 4096 };
    });
  });

test("reads cover what is used, exactly, in order, and are bounded", () => {
  fc.assert(
    fc.property(holes, fc.integer({ min: 0, max: 20 << 20 }), (unused, rest) => {
      const size = (unused.at(-1)?.offset ?? 0) + (unused.at(-1)?.size ?? 0) + rest;
      let position = 0;
      let free = 0;
      for (const read of reads(size, unused)) {
        expect(read.size).toBeLessThanOrEqual(readBytes);
        for (const range of read.used) {
          expect(range.offset).toBeGreaterThanOrEqual(Math.max(position, read.offset));
          free += range.offset - position;
          position = range.offset + range.size;
          expect(position).toBeLessThanOrEqual(read.offset + read.size);
        }
      }
      expect(free + size - position).toBe(unused.reduce((sum, hole) => sum + hole.size, 0));
    }),
  );
});

test("a file is read without its holes, and a stream in full, whatever its pieces", async () => {
  const directory = await mkdtemp(join(tmpdir(), "parts-"));
  try {
    const content = randomBytes(2 * readBytes + 5000);
    const path = join(directory, "image");
    await writeFile(path, content);
    const unused = [
      { offset: 4096, size: 8192 },
      { offset: readBytes, size: 4096 },
    ];
    const result = Buffer.from(content).fill(7);
    for await (const part of fileParts(path, unused)) part.content.copy(result, part.offset);
    const expected = Buffer.from(content);
    for (const { offset, size } of unused) expected.fill(7, offset, offset + size);
    expect(result.equals(expected)).toBe(true);

    const pieces = Readable.from([
      content.subarray(0, 10),
      content.subarray(10, 9_000_000 % content.length),
      content.subarray(9_000_000 % content.length),
    ]);
    const whole: Buffer[] = [];
    for await (const part of streamParts(pieces)) whole.push(Buffer.from(part.content));
    expect(Buffer.concat(whole).equals(content)).toBe(true);
    expect(whole.slice(0, -1).every((part) => part.length === readBytes)).toBe(true);
  } finally {
    await rm(directory, { recursive: true });
  }
});
