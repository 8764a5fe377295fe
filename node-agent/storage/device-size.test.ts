import { expect, test } from "vitest";
import { deviceNumbers, sizeOf } from "./device-size.ts";

test.each([
  [0x801, "8:1"],
  [0xfd03, "253:3"],
  [0x11032c, "259:300"],
  [0xfe010305, "259:1040389"],
])("%i are the numbers %s", (rdev, numbers) => {
  expect(deviceNumbers(rdev)).toBe(numbers);
});

test("what is no block device has no size", async () => {
  await expect(sizeOf("/dev/null")).rejects.toThrow("/dev/null is no block device");
});
