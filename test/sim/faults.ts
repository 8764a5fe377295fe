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
  /** Each goes back to a backup of some minutes before. */
  restores: number;
  daemonClockJumps: number;
  nodeClockJumps: number;
  /** Of the operator: not wrong, but in the way. */
  stops: number;
  holds: number;
  maintenances: number;
  /** Probabilities. */
  crashAtCommit: number;
  crashAtJournal: number;
  journalFull: number;
  powerError: number;
  stepFails: number;
  doubled: number;
  together: number;
  /** That a connection is slow as long as it lasts. */
  sluggish: number;
};

export const noFaults: Faults = {
  lastMs: 0,
  daemonCrashes: 0,
  agentCrashes: 0,
  powerLosses: 0,
  resets: 0,
  cuts: 0,
  partitions: 0,
  restores: 0,
  daemonClockJumps: 0,
  nodeClockJumps: 0,
  stops: 0,
  holds: 0,
  maintenances: 0,
  crashAtCommit: 0,
  crashAtJournal: 0,
  journalFull: 0,
  powerError: 0,
  stepFails: 0,
  doubled: 0,
  together: 0,
  sluggish: 0,
};

/** Some worlds are calm, some are hell; each kind of fault is absent in some, so that others come through. */
export function drawFaults(random: Random, nodes: number): Faults {
  const some = Math.min(nodes, 20);
  const up = (most: number) => (random.chance(0.4) ? 0 : random.between(1, most));
  const rate = (most: number) => (random.chance(0.5) ? 0 : random.next() * most);
  return {
    lastMs: random.between(5, nodes > 10 ? 20 : 45) * 60_000,
    daemonCrashes: up(5),
    agentCrashes: up(2 * some),
    powerLosses: up(some),
    resets: up(some),
    cuts: up(4 * some),
    partitions: up(2 * some),
    restores: random.chance(0.03) ? 1 : 0,
    daemonClockJumps: random.chance(0.2) ? random.between(1, 2) : 0,
    nodeClockJumps: random.chance(0.2) ? random.between(1, some) : 0,
    stops: up(3),
    holds: up(3),
    maintenances: random.chance(0.3) ? random.between(1, 3) : 0,
    // A large world commits more often; it must come to an end all the same.
    crashAtCommit: rate(0.05) * Math.min(1, 4 / nodes),
    crashAtJournal: rate(0.05),
    journalFull: rate(0.1),
    powerError: rate(0.4),
    stepFails: rate(0.2) * Math.min(1, 20 / nodes),
    doubled: rate(0.5),
    together: rate(0.6),
    sluggish: rate(0.3),
  };
}
