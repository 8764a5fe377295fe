import { expect, it } from "vitest";
import { ClockWatch } from "./clock-watch.ts";

it("tells every jump of the wall clock once, in whole milliseconds, and no slow correction", () => {
  const clocks = { wall: 1_000_000, steady: 17.3 };
  const watch = new ClockWatch(
    () => clocks.wall,
    () => clocks.steady,
  );
  const pass = (wallMs: number, steadyMs: number) => {
    clocks.wall += wallMs;
    clocks.steady += steadyMs;
    return watch.jump();
  };
  expect(pass(10_000, 10_000.71875)).toBe(0);
  expect(pass(10_900, 10_000.4)).toBe(0);
  expect(pass(86_400_000, 250.28125)).toBe(86_400_649);
  expect(pass(5_000, 5_000)).toBe(0);
  expect(pass(-86_400_000, 0.75)).toBe(-86_400_001);
});
