import { expect, it } from "vitest";
import { readConfig } from "./config.ts";

const rates = (text: string) => readConfig(["--image-rate", text], {}).imageRate;

it("limits images to a rate in bytes, and not at all if none is given", () => {
  expect(rates("1GiB/s")).toBe(2 ** 30);
  expect(rates("2.5 MiB/s")).toBe(2.5 * 2 ** 20);
  expect(rates("300KiB/s")).toBe(300 * 2 ** 10);
  expect(rates("4096B/s")).toBe(4096);
  const { imageRate, imageRateRack, imageRateNode } = readConfig([], {});
  expect([imageRate, imageRateRack, imageRateNode]).toEqual([undefined, undefined, undefined]);
});

it.each(["1GB/s", "1GiB", "0MiB/s", "-1MiB/s", "fast", ""])("refuses the rate %j", (text) => {
  expect(() => rates(text)).toThrow(/a rate is a number with B\/s, KiB\/s, MiB\/s or GiB\/s/);
});
