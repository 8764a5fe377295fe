// Manifests with mistakes of every kind: what is applied can be planned or is refused with its faults, and nothing
// makes the daemon fail. MUSTER_FUZZ and MUSTER_FUZZ_SEED as in fuzz.test.ts.
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { manifests } from "../../daemon/domain/plan-fixture.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { startTestDaemon, type TestDaemon } from "../api/daemon.ts";

const numRuns = 20 * Number(process.env.MUSTER_FUZZ ?? 5);
const seed = Number(process.env.MUSTER_FUZZ_SEED ?? 1);

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startTestDaemon();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const words = manifests.split(/([\s,:{}[\]]+)/);
const scraps = fc.constantFrom(
  ...[
    "",
    " ",
    "\n",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "&a",
    "*a",
    "<<",
    "!!binary",
    '"\\uD800"',
    "null",
    "~",
    "\t",
  ],
  ...[
    "0",
    "-1",
    "1e400",
    ".nan",
    "99999999999999999999",
    "0 GiB",
    "1 B",
    "remaining",
    "100%",
    "true",
    "../x",
  ],
  ...[
    "__proto__",
    "constructor",
    "n1",
    "n2",
    "demo",
    "controller",
    "compute",
    "announce",
    "join",
    "system",
    "root",
  ],
  ...[
    "partition/os",
    "md/os",
    "lv/vg0/root",
    "kind",
    "name",
    "raid",
    "level",
    "ext4",
    "xfs",
    "/",
    "x".repeat(100),
  ],
);
const mistakes = fc.array(fc.record({ at: fc.nat(words.length - 1), scrap: scraps }), {
  minLength: 1,
  maxLength: 4,
});

it("says what is wrong with any manifest, and plans what is right", async () => {
  const { clusters, deployments } = daemon.muster;
  let applied = 0;
  const property = fc.asyncProperty(mistakes, async (changes) => {
    const text = [...words];
    for (const { at, scrap } of changes) text[at] = scrap;
    const files = [{ path: "demo.yaml", content: text.join("") }];
    const refusal = await clusters.apply({ files }).then(() => undefined, RpcError.from);
    if (refusal) {
      expect(refusal).toMatchObject({ code: codes.INVALID_ARGUMENT, reason: "INVALID_MANIFEST" });
      return;
    }
    applied++;
    for (const { name } of (await clusters.listClusters({})).clusters) {
      const fault = await deployments.planCluster({ cluster: name }).then(() => undefined, RpcError.from);
      if (fault) expect(fault).toMatchObject({ code: codes.FAILED_PRECONDITION, reason: "CANNOT_PLAN" });
    }
  });
  await fc.assert(property, { numRuns, seed });
  expect(applied).toBeGreaterThan(0);
}, 300_000);
