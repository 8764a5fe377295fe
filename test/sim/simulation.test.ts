// Worlds in which everything goes wrong, and the checks that every saga owes: each step twice, each step failing
// once, and a daemon that dies at each of its writes.
import { describe, expect, it } from "vitest";
import { planOf } from "./cluster.ts";
import { noFaults } from "./faults.ts";
import { type Outcome, simulate } from "./world.ts";

const seeds = 200;
const calm = { seed: 1, nodes: 2, faults: noFaults, deployments: 1, taskRetries: 0 };
const steps = planOf(["n1", "n2"], 0).steps.map(({ id }) => id);
/** The agents do all but the bootstraps. */
const agentSteps = steps.filter((id) => !id.endsWith("/bootstrap"));

const told = ({ seed, violations, tail }: Outcome) =>
  violations.length ? [`seed ${seed}`, ...tail, ...violations].join("\n") : "";

describe("a simulated deployment", () => {
  it(`keeps every rule in ${seeds} worlds`, { timeout: 60_000 }, async () => {
    for (let seed = 1; seed <= seeds; seed++) expect(told(await simulate({ seed }))).toBe("");
  });

  it("is the same again from the same seed", async () => {
    for (const seed of [3, 14, 159]) expect(await simulate({ seed })).toEqual(await simulate({ seed }));
    expect((await simulate({ seed: 3 })).digest).not.toBe((await simulate({ seed: 14 })).digest);
  });

  it("does every step once when nothing goes wrong", async () => {
    const outcome = await simulate(calm);
    expect(told(outcome)).toBe("");
    expect(outcome.attempts).toBe(agentSteps.length);
  });

  it("does every step once when everything is said twice", async () => {
    const outcome = await simulate({ ...calm, faults: { ...noFaults, doubled: 1 } });
    expect(told(outcome)).toBe("");
    expect(outcome.attempts).toBe(agentSteps.length);
  });

  it.each(steps)("finishes by a retry that repeats nothing else when %s fails", async (failing) => {
    const outcome = await simulate({ ...calm, failing });
    expect(told(outcome)).toBe("");
    const again = failing.endsWith("/bootstrap") ? 0 : 1;
    expect(outcome.attempts).toBe(agentSteps.length + again);
    expect(outcome.retries).toBe(1);
  });

  it.each(["before the write", "after the write"] as const)(
    "survives death %s, at every write",
    async (point) => {
      const { commits } = await simulate(calm);
      expect(commits).toBeGreaterThan(steps.length);
      for (let commit = 1; commit <= commits; commit++) {
        const outcome = await simulate({ ...calm, crashAt: { commit, point } });
        expect(told(outcome)).toBe("");
      }
    },
  );
});
