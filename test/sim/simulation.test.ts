// Worlds in which everything goes wrong, and the checks that every saga owes: each step twice, each step failing
// once, a daemon that dies at each of its writes, and an agent that dies at each of its.
import { describe, expect, it } from "vitest";
import { agentSteps } from "./cluster.ts";
import { noFaults } from "./faults.ts";
import { type Outcome, simulate } from "./world.ts";

const seeds = 200;
const calm = {
  seed: 1,
  nodes: 2,
  faults: noFaults,
  goals: ["deploy"] as const,
  taskRetries: 0,
  declares: true,
  drivers: true,
};
const done = agentSteps(["n1", "n2"]);
const steps = ["n1/bootstrap", "n2/bootstrap", ...done];

const told = ({ seed, violations, tail }: Outcome) =>
  violations.length ? [`seed ${seed}`, ...tail, ...violations].join("\n") : "";

describe("a simulated deployment", () => {
  it(`keeps every rule in ${seeds} worlds`, { timeout: 300_000 }, async () => {
    for (let seed = 1; seed <= seeds; seed++) expect(told(await simulate({ seed }))).toBe("");
  });

  it("is the same again from the same seed", async () => {
    for (const seed of [3, 14, 159]) expect(await simulate({ seed })).toEqual(await simulate({ seed }));
    expect((await simulate({ seed: 3 })).digest).not.toBe((await simulate({ seed: 14 })).digest);
  });

  it("does every step once when nothing goes wrong", async () => {
    const outcome = await simulate(calm);
    expect(told(outcome)).toBe("");
    expect(outcome.attempts).toBe(done.length);
  });

  it("does every step once when everything is said twice", async () => {
    const outcome = await simulate({ ...calm, faults: { ...noFaults, doubled: 1 } });
    expect(told(outcome)).toBe("");
    expect(outcome.attempts).toBe(done.length);
  });

  it("does only what has changed, wipes what is released, and deploys that again", async () => {
    const changed = await simulate({ ...calm, goals: ["deploy", "change"] });
    expect(told(changed)).toBe("");
    expect(changed.attempts).toBe(done.length + 4);
    const released = await simulate({ ...calm, goals: ["deploy", "release", "change"] });
    expect(told(released)).toBe("");
    expect(released.attempts).toBe(2 * done.length + 2);
  });

  it.each(steps)("finishes by a retry that repeats nothing else when %s fails", async (failing) => {
    const outcome = await simulate({ ...calm, failing });
    expect(told(outcome)).toBe("");
    const again = failing.endsWith("/bootstrap") || failing.endsWith("/roll") ? 0 : 1;
    expect(outcome.attempts).toBe(done.length + again);
    // The failure of that one is no matter.
    expect(outcome.retries).toBe(failing.endsWith("/roll") ? 0 : 1);
  });

  it.each(["before the write", "after the write"] as const)(
    "survives death %s, at every write",
    { timeout: 300_000 },
    async (point) => {
      const { commits } = await simulate(calm);
      expect(commits).toBeGreaterThan(steps.length);
      for (let commit = 1; commit <= commits; commit++) {
        const outcome = await simulate({ ...calm, crashAt: { commit, point } });
        expect(told(outcome)).toBe("");
      }
    },
  );

  it.each(["full", "dies before", "dies after", "torn"] as const)(
    "survives an agent whose write to its journal is: %s, at every write",
    { timeout: 300_000 },
    async (fate) => {
      const { journalWrites } = await simulate(calm);
      expect(journalWrites).toBe(3 * done.length);
      for (let write = 1; write <= journalWrites; write++) {
        const outcome = await simulate({ ...calm, journalFate: { write, fate } });
        expect(told(outcome)).toBe("");
      }
    },
  );
});
