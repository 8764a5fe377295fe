import { expect, test } from "vitest";
import { createMeter, progressText } from "./meter.ts";

test("a terminal has one line that is renewed, anything else a line every 5 seconds", () => {
  for (const isTerminal of [true, false]) {
    let now = 0;
    const written: string[] = [];
    const meter = createMeter("read", { write: (text) => written.push(text), isTerminal, now: () => now });
    for (now = 100; now <= 10_000; now += 100) meter.at(now * 1000, 20_000_000);
    meter.end();
    if (isTerminal) {
      expect(written.length).toBe(51);
      expect(written[0]).toBe("\r\x1b[Kread 195 KiB of 19.1 MiB (1 %), 977 KiB/s, 20 s left");
      expect(written.at(-1)).toBe("\r\x1b[K");
    } else {
      expect(written).toEqual([
        "read 4.8 MiB of 19.1 MiB (25 %), 977 KiB/s, 15 s left\n",
        "read 9.5 MiB of 19.1 MiB (50 %), 977 KiB/s, 10 s left\n",
      ]);
    }
  }
});

test("without a known total there is no time left", () => {
  expect(progressText(5 << 20, undefined, 2)).toBe("5.0 MiB, 2.5 MiB/s");
  expect(progressText(0, 4 * 2 ** 30, 10)).toBe("0 B of 4.0 GiB (0 %), 0 B/s");
  expect(progressText(2 ** 30, 400 * 2 ** 30, 10)).toMatch(/, 1 h 6 min left$/);
});
