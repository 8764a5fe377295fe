// A small torture, in every `npm test`: a dozen kills, and a network that cuts connections.
import { expect, it, onTestFinished } from "vitest";
import { cutAtRandom } from "./cut-connections.ts";
import { kills } from "./kills.ts";
import type { ScenarioOptions } from "./scenario.ts";

function small(wanted: number): ScenarioOptions {
  const stopped = new AbortController();
  onTestFinished(() => stopped.abort());
  return { seed: 7, agents: 3, kills: wanted, keep: false, signal: stopped.signal, log: () => {} };
}

it("loses nothing and does nothing twice when daemon and agents are killed", {
  timeout: 180_000,
}, async () => {
  const outcome = await kills(small(12));
  expect(outcome).toMatchObject({ lost: [], doubled: [], problems: [] });
  expect(outcome.kills).toBeGreaterThanOrEqual(12);
});

it("fails no step when connections are cut", { timeout: 180_000 }, async () => {
  expect(await cutAtRandom(small(0))).toMatchObject({ lost: [], doubled: [], problems: [] });
});
