import { randomBytes } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { expect, it } from "vitest";
import { Decoder } from "./decoder.ts";

const decoder = new Decoder();

it("decodes one chunk after another to where it is told", () => {
  // Otherwise every delivery takes half as long again.
  expect(decoder.isDirect).toBe(true);
  for (const bytes of [1, 100, 4096, 524_288, 70_000]) {
    const content = Buffer.concat([randomBytes(bytes / 2), Buffer.alloc(bytes - Math.floor(bytes / 2), "x")]);
    const output = Buffer.alloc(content.length + 10);
    decoder.decode(zstdCompressSync(content), output, content.length);
    expect(output.subarray(0, content.length).equals(content)).toBe(true);
  }
});

it("refuses what has another size, what is cut off and what is no zstd, and goes on afterwards", () => {
  const content = randomBytes(10_000);
  const packed = zstdCompressSync(content);
  const output = Buffer.alloc(20_000);
  expect(() => decoder.decode(packed, output, 9_999)).toThrow();
  expect(() => decoder.decode(packed, output, 10_001)).toThrow("it has 10000 bytes of content");
  expect(() => decoder.decode(packed.subarray(0, 5_000), output, 10_000)).toThrow();
  expect(() => decoder.decode(randomBytes(100), output, 10_000)).toThrow();
  decoder.decode(packed, output, 10_000);
  expect(output.subarray(0, 10_000).equals(content)).toBe(true);
});
