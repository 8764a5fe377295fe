// What a process leaves that is killed while it commits: all that it has acknowledged, and no half batch.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openStore } from "./testing/records.ts";

const kills = 20;
let stateDir: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "muster-crash-"));
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await rm(stateDir, { recursive: true, force: true });
});

/** Kills the committer some time after its first commit; gives the last revision that it has acknowledged. */
async function commitUntilKilled(delayMs: number): Promise<bigint> {
  const committer = spawn(process.execPath, [join(import.meta.dirname, "testing/committer.ts"), stateDir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  child = committer;
  let acknowledged = 0n;
  for await (const line of createInterface({ input: committer.stdout })) {
    if (!acknowledged) setTimeout(() => committer.kill("SIGKILL"), delayMs);
    acknowledged = BigInt(line);
  }
  if (committer.exitCode === null && committer.signalCode === null) await once(committer, "exit");
  expect(committer.signalCode).toBe("SIGKILL");
  return acknowledged;
}

it(`loses nothing and halves nothing in ${kills} kills`, { timeout: 120_000 }, async () => {
  let acknowledged = 0n;
  for (let kill = 0; kill < kills; kill++) {
    const now = await commitUntilKilled((kill * 37) % 120);
    expect(now).toBeGreaterThan(acknowledged);
    acknowledged = now;
    await using store = await openStore(stateDir);
    const { revision, state } = store;
    expect(revision).toBeGreaterThanOrEqual(acknowledged);
    for (const { name, reason } of state.nodes.values()) {
      if (name.startsWith("a")) expect(state.nodes.get(`b${name.slice(1)}`)?.reason).toBe(reason);
    }
    expect(state.events.at(-1)?.message).toBe(`${revision} of ${revision}`);
    const logged = store.changesAfter(store.oldestRevision) ?? [];
    expect(BigInt(logged.length)).toBe((revision - store.oldestRevision) * 3n);
  }
});
