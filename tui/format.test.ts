import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ProgressSchema } from "../proto/gen/muster/v1/deployment_pb.ts";
import {
  bar,
  clean,
  elapsed,
  formatAge,
  formatBytes,
  formatDuration,
  formatProgress,
  formatRate,
  percent,
} from "./format.ts";
import { now, progress, secondsAgo } from "./testing/fixtures.ts";

describe("format", () => {
  it.each([
    [0n, "0 B"],
    [1023n, "1023 B"],
    [1024n, "1 KiB"],
    [1536n, "1.5 KiB"],
    [412n << 20n, "412 MiB"],
    [(20n << 30n) - (300n << 20n), "19.7 GiB"],
    [1n << 40n, "1 TiB"],
    [1n << 60n, "1024 PiB"],
  ])("writes %s bytes as %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0, "0s"],
    [400, "0.4s"],
    [3200, "3.2s"],
    [9960, "10s"],
    [41_000, "41s"],
    [252_000, "4m12s"],
    [7_500_000, "2h05m"],
    [274_000_000, "3d04h"],
    [-5, "0s"],
  ])("writes %d ms as %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

  it("counts what runs in whole seconds", () => {
    expect(formatAge(3200)).toBe("3s");
    expect(elapsed(secondsAgo(3.2), undefined, now)).toBe("3s");
    expect(elapsed(secondsAgo(10), secondsAgo(6.8), now)).toBe("3.2s");
    expect(elapsed(undefined, undefined, now)).toBe("");
  });

  it("says progress in one line, with what is known", () => {
    expect(formatProgress(progress("n1/image", 436n))).toBe("61% 436 MiB/712 MiB 18 MiB/s eta 15s writing");
    expect(formatProgress(create(ProgressSchema, { activity: "growing the file system" }))).toBe(
      "growing the file system",
    );
    expect(formatProgress(create(ProgressSchema, { currentBytes: 2048n }))).toBe("2 KiB");
    const items = create(ProgressSchema, {
      currentItems: 34,
      totalItems: 120,
      changedItems: 3,
      activity: "Service[mariadb]",
    });
    expect(formatProgress(items, "resources")).toBe("28% 34/120 resources, 3 changed Service[mariadb]");
    items.failedItems = 1;
    expect(formatProgress(items)).toBe("28% 34/120, 3 changed, 1 failed Service[mariadb]");
    expect(formatRate(18n << 20n)).toBe("18 MiB/s");
  });

  it("shows 100% and a full bar only at the end", () => {
    expect(percent(999_999n, 1_000_000n)).toBe(99);
    expect(percent(5n, 0n)).toBe(0);
    fc.assert(
      fc.property(fc.bigInt(0n, 1n << 50n), fc.bigInt(1n, 1n << 50n), fc.nat(60), (current, total, width) => {
        const text = bar(current, total, width);
        expect(text).toHaveLength(width);
        if (width > 0 && current < total) expect(text.endsWith("█")).toBe(false);
      }),
    );
  });

  it("takes out of foreign text what could command the terminal", () => {
    expect(clean("a\u001b[2Jb\u0007\tc\r\nd\u009b31m")).toBe("ab c d");
  });
});
