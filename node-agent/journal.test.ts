import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, it } from "vitest";
import { StepResult_Outcome, StepResultSchema } from "../proto/gen/muster/v1/agent_pb.ts";
import { Journal } from "./journal.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "journal-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const attempt = (token: string, kind = "shell") => ({
  token,
  step: `demo-1/n1/${kind}`,
  kind,
  bootId: "boot-1",
});
const success = (token: string) =>
  create(StepResultSchema, { token, outcome: StepResult_Outcome.SUCCEEDED, result: "done" });

it("remembers outcomes across a restart until they are acknowledged, and tokens after that", () => {
  const before = new Journal(dir);
  before.start(attempt("demo/1"));
  before.finish(success("demo/1"));

  const after = new Journal(dir);
  expect(after.settleOrphans("boot-1")).toEqual([]);
  expect(after.unacknowledged()).toMatchObject([{ token: "demo/1", result: "done" }]);
  after.acknowledge("demo/1");

  const last = new Journal(dir);
  expect(last.unacknowledged()).toEqual([]);
  expect(last.resultOf("demo/1")).toMatchObject({ outcome: StepResult_Outcome.SUCCEEDED });
});

it("fails an attempt that a restart of the agent interrupted", () => {
  new Journal(dir).start(attempt("t1", "partition"));
  const journal = new Journal(dir);
  expect(journal.settleOrphans("boot-1")).toMatchObject([
    {
      token: "t1",
      outcome: StepResult_Outcome.FAILED,
      reason: expect.stringContaining("was restarted while"),
    },
  ]);
  expect(new Journal(dir).resultOf("t1")?.outcome).toBe(StepResult_Outcome.FAILED);
});

it("takes a reboot for done when the machine has another boot id", () => {
  new Journal(dir).start(attempt("t1", "reboot"));
  expect(new Journal(dir).settleOrphans("boot-2")).toMatchObject([{ outcome: StepResult_Outcome.SUCCEEDED }]);
});

it("does not run a token again whose file cannot be read", () => {
  writeFileSync(join(dir, "demo%2F1.json"), "{ half");
  const journal = new Journal(dir);
  expect(journal.has("demo/1")).toBe(true);
  expect(journal.settleOrphans("boot-1")).toMatchObject([{ outcome: StepResult_Outcome.FAILED }]);
});

it("forgets the oldest acknowledged tokens", () => {
  let now = 0;
  const journal = new Journal(dir, () => now++);
  for (let index = 0; index < 300; index++) {
    journal.start(attempt(`t${index}`));
    journal.finish(success(`t${index}`));
    if (index > 0) journal.acknowledge(`t${index}`);
  }
  expect(readdirSync(dir)).toHaveLength(257);
  expect([journal.has("t0"), journal.has("t1"), journal.has("t299")]).toEqual([true, false, true]);
});

it("knows a reboot that was announced in this boot and never came, until another attempt follows", () => {
  const journal = new Journal(dir);
  journal.start(attempt("t1", "reboot"));
  expect(journal.missedReboot("boot-1")).toBeUndefined();
  journal.finish(success("t1"));
  journal.acknowledge("t1");
  expect(new Journal(dir).missedReboot("boot-1")).toBe("t1");
  expect(new Journal(dir).missedReboot("boot-2")).toBeUndefined();
  journal.start(attempt("t2", "partition"));
  expect(new Journal(dir).missedReboot("boot-1")).toBeUndefined();
});
