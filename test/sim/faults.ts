// What goes wrong in a world, and until when. Everything is drawn from the world's seed.
import type { Random } from "./random.ts";

/** Where a daemon may die while it stores a decision. */
export type CrashPoint = "before the write" | "after the write" | "before an effect";

export type Faults = {
  /** After this long, nothing goes wrong any more. */
  lastMs: number;
  /** How often each happens in that time, at random moments. */
  daemonCrashes: number;
  agentCrashes: number;
  powerLosses: number;
  resets: number;
  cuts: number;
  partitions: number;
  stops: number;
  /** Probabilities. */
  crashAtCommit: number;
  powerError: number;
  stepFails: number;
  doubled: number;
  together: number;
};

export const noFaults: Faults = {
  lastMs: 0,
  daemonCrashes: 0,
  agentCrashes: 0,
  powerLosses: 0,
  resets: 0,
  cuts: 0,
  partitions: 0,
  stops: 0,
  crashAtCommit: 0,
  powerError: 0,
  stepFails: 0,
  doubled: 0,
  together: 0,
};

/** Some worlds are calm, some are hell; each kind of fault is absent in some, so that others come through. */
export function drawFaults(random: Random, nodes: number): Faults {
  const up = (most: number) => (random.chance(0.4) ? 0 : random.between(1, most));
  const rate = (most: number) => (random.chance(0.5) ? 0 : random.next() * most);
  return {
    lastMs: random.between(5, 45) * 60_000,
    daemonCrashes: up(5),
    agentCrashes: up(2 * nodes),
    powerLosses: up(nodes),
    resets: up(nodes),
    cuts: up(4 * nodes),
    partitions: up(2 * nodes),
    stops: up(3),
    crashAtCommit: rate(0.05),
    powerError: rate(0.4),
    stepFails: rate(0.2),
    doubled: rate(0.5),
    together: rate(0.6),
  };
}
