import { expect, it } from "vitest";
import { Liveness } from "./liveness.ts";

/** A clock that the test moves. */
class Clock {
  nowMs = 0;
  #timers = new Map<number, { atMs: number; work: () => void }>();
  #count = 0;

  after = (ms: number, work: () => void) => {
    const id = this.#count++;
    this.#timers.set(id, { atMs: this.nowMs + ms, work });
    return () => {
      this.#timers.delete(id);
    };
  };

  passes(ms: number): void {
    this.nowMs += ms;
    for (const [id, { atMs, work }] of [...this.#timers]) {
      if (atMs > this.nowMs || !this.#timers.delete(id)) continue;
      work();
    }
  }
}

function watch() {
  const clock = new Clock();
  const told: string[] = [];
  const liveness = new Liveness(clock.after, {
    lateMs: 16,
    goneMs: 45,
    onLate: () => told.push("late"),
    onHeard: () => told.push("heard"),
    onGone: () => told.push("gone"),
  });
  return { clock, told, liveness };
}

it("says nothing of an agent that speaks in time", () => {
  const { clock, told, liveness } = watch();
  for (let beat = 0; beat < 20; beat++) {
    clock.passes(15);
    liveness.heard();
  }
  expect(told).toEqual([]);
});

it("calls a slow agent late, not gone, and takes that back once", () => {
  const { clock, told, liveness } = watch();
  clock.passes(40);
  liveness.heard();
  clock.passes(15);
  liveness.heard();
  expect(told).toEqual(["late", "heard"]);
});

it("gives up an agent that says nothing for longer, and not after the end", () => {
  const silent = watch();
  silent.clock.passes(16);
  silent.clock.passes(28);
  expect(silent.told).toEqual(["late"]);
  silent.clock.passes(1);
  expect(silent.told).toEqual(["late", "gone"]);
  const ended = watch();
  ended.liveness.end();
  ended.clock.passes(100);
  expect(ended.told).toEqual([]);
});

it("gives agents the time to be heard after the daemon itself stood still", () => {
  const { clock, told, liveness } = watch();
  clock.passes(10_000);
  expect(told).toEqual(["late"]);
  clock.passes(20);
  liveness.heard();
  expect(told).toEqual(["late", "heard"]);
});
