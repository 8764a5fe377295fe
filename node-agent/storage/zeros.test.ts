import { expect, test } from "vitest";
import { isZero } from "./zeros.ts";

test.each([
  { size: 0, at: [] },
  { size: 4096, at: [0, 4095] },
  { size: (2 << 20) + 5, at: [0, (1 << 20) - 1, 1 << 20, (2 << 20) + 4] },
])("one byte among $size is seen wherever it is", ({ size, at }) => {
  const content = Buffer.alloc(size);
  expect(isZero(content)).toBe(true);
  for (const position of at) {
    content[position] = 1;
    expect(isZero(content)).toBe(false);
    content[position] = 0;
  }
});
