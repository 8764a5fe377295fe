import { expect, it } from "vitest";
import { formatBytes } from "./bytes.ts";

it("shows sizes to people, never as more than they are", () => {
  expect(
    [0n, 1023n, 1024n, 536870912n, 4294967295n, 10n ** 13n, 1n << 50n].map((bytes) => formatBytes(bytes)),
  ).toEqual(["0 B", "1023 B", "1 KiB", "512 MiB", "3.9 GiB", "9 TiB", "1 PiB"]);
});
