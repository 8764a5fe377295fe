import { expect, it } from "vitest";
import { parseSize } from "./size.ts";

it.each([
  ["512 MiB", 536870912n],
  ["1.5GiB", 1610612736n],
  ["0.1 KiB", 102n],
  ["7 B", 7n],
  ["2 TiB", 2199023255552n],
])("%s is so many bytes", (text, bytes) => {
  expect(parseSize(text)).toEqual({ kind: "bytes", bytes });
});

it("knows shares and what remains, and nothing else", () => {
  expect(parseSize("12.5%")).toEqual({ kind: "share", parts: 125n, whole: 1000n });
  expect(parseSize("remaining")).toEqual({ kind: "remaining" });
  for (const text of ["3 GX", "", "-1 MiB", "1 GB", "MiB", "all"]) expect(parseSize(text)).toBeUndefined();
});
