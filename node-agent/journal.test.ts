import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, it } from "vitest";
import { StepResult_Outcome, StepResultSchema } from "../proto/gen/muster/v1/agent_pb.ts";
import { Journal } from "./journal.ts";
import { type JournalDisk, journalFiles } from "./journal-files.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "journal-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const open = () => new Journal(journalFiles(dir));
const attempt = (token: string, kind = "shell", fence = 1n) => ({
  token,
  fence,
  step: `demo-1/n1/${kind}`,
  kind,
  bootId: "boot-1",
});
const success = (token: string, fence = 1n) =>
  create(StepResultSchema, { token, fence, outcome: StepResult_Outcome.SUCCEEDED, result: "done" });

it("remembers outcomes across a restart until they are acknowledged, and tokens after that", () => {
  const before = open();
  before.start(attempt("demo/1"));
  before.finish(success("demo/1"));

  const after = open();
  expect(after.settleOrphans("boot-1")).toEqual([]);
  expect(after.unacknowledged()).toMatchObject([{ token: "demo/1", result: "done" }]);
  after.acknowledge("demo/1");

  const last = open();
  expect(last.unacknowledged()).toEqual([]);
  expect(last.resultOf({ token: "demo/1", fence: 1n })).toMatchObject({
    outcome: StepResult_Outcome.SUCCEEDED,
  });
});

it("fails an attempt that a restart of the agent interrupted", () => {
  open().start(attempt("t1", "partition"));
  const journal = open();
  expect(journal.settleOrphans("boot-1")).toMatchObject([
    {
      token: "t1",
      outcome: StepResult_Outcome.FAILED,
      reason: expect.stringContaining("was restarted while"),
    },
  ]);
  expect(open().resultOf({ token: "t1", fence: 1n })?.outcome).toBe(StepResult_Outcome.FAILED);
});

it("takes a reboot for done when the machine has another boot id", () => {
  open().start(attempt("t1", "reboot"));
  expect(open().settleOrphans("boot-2")).toMatchObject([{ outcome: StepResult_Outcome.SUCCEEDED }]);
});

it("does not run a token again whose file cannot be read", () => {
  writeFileSync(join(dir, "demo%2F1@3.json"), "{ half");
  const journal = open();
  expect(journal.has({ token: "demo/1", fence: 3n })).toBe(true);
  expect(journal.settleOrphans("boot-1")).toMatchObject([{ outcome: StepResult_Outcome.FAILED }]);
});

it("keeps facts and changes until they are acknowledged, and no longer", () => {
  const before = open();
  const changes = [{ what: "file /etc/motd", action: "update", diff: "+hello" }];
  before.start(attempt("t2"));
  before.finish(
    create(StepResultSchema, {
      token: "t2",
      fence: 1n,
      outcome: StepResult_Outcome.SUCCEEDED,
      facts: { port: 80 },
      changes,
    }),
  );
  const after = open();
  expect(after.unacknowledged().at(-1)).toMatchObject({ facts: { port: 80 }, changes });
  after.acknowledge("t2");
  expect(open().resultOf({ token: "t2", fence: 1n })).toMatchObject({
    outcome: StepResult_Outcome.SUCCEEDED,
    changes: [],
  });
  expect(open().resultOf({ token: "t2", fence: 1n })?.facts).toBeUndefined();
});

it("forgets the oldest acknowledged tokens", () => {
  const journal = open();
  for (let index = 0; index < 300; index++) {
    journal.start(attempt(`t${index}`));
    journal.finish(success(`t${index}`));
    if (index > 0) journal.acknowledge(`t${index}`);
  }
  expect(readdirSync(dir)).toHaveLength(257);
  const has = (token: string) => journal.has({ token, fence: 1n });
  expect([has("t0"), has("t1"), has("t299")]).toEqual([true, false, true]);
});

it("knows a reboot that was announced in this boot and never came, until another attempt follows", () => {
  const journal = open();
  journal.start(attempt("t1", "reboot"));
  expect(journal.missedReboot("boot-1")).toBeUndefined();
  journal.finish(success("t1"));
  journal.acknowledge("t1");
  expect(open().missedReboot("boot-1")).toBe("t1");
  expect(open().missedReboot("boot-2")).toBeUndefined();
  journal.start(attempt("t2", "partition"));
  expect(open().missedReboot("boot-1")).toBeUndefined();
});

it("knows the highest fence that it was given, also of an attempt that is forgotten or damaged", () => {
  const journal = open();
  expect(journal.highestFence).toBe(0n);
  journal.start(attempt("high", "shell", 90n));
  journal.finish(success("high", 90n));
  journal.acknowledge("high");
  for (let index = 0; index < 300; index++) {
    journal.refuse(attempt(`t${index}`, "shell", 5n), success(`t${index}`, 5n));
    journal.acknowledge(`t${index}`);
  }
  expect(open().highestFence).toBe(90n);
  writeFileSync(join(dir, "torn@91.json"), "");
  expect(open().highestFence).toBe(91n);
});

it("tells attempts of one token apart by their fence", () => {
  const journal = open();
  journal.start(attempt("t1", "shell", 5n));
  journal.finish(success("t1", 5n));
  expect(journal.has({ token: "t1", fence: 9n })).toBe(false);
  journal.start(attempt("t1", "shell", 9n));
  expect(open().settleOrphans("boot-1")).toMatchObject([{ token: "t1", fence: 9n }]);
  expect(journal.resultOf({ token: "t1", fence: 5n })).toMatchObject({ result: "done" });
});

it("answers any assignment of a token that was cancelled before it came", () => {
  const journal = open();
  journal.refuse(attempt("t1", "", 0n), success("t1", 0n));
  expect(journal.resultOf({ token: "t1", fence: 9n })).toMatchObject({ token: "t1" });
});

it("does not let an attempt start that it cannot write, and keeps an outcome that it cannot", () => {
  const disk: JournalDisk = journalFiles(dir);
  let full = false;
  const unlessFull =
    <A extends unknown[]>(write: (...args: A) => void) =>
    (...args: A) => {
      if (full) throw new Error("ENOSPC: no space left on device, write");
      write(...args);
    };
  const journal = new Journal({ ...disk, create: unlessFull(disk.create), append: unlessFull(disk.append) });
  journal.start(attempt("t1"));
  full = true;
  expect(() => journal.start(attempt("t2"))).toThrow(
    /journal in .* cannot be written: ENOSPC.*; make room there/,
  );
  expect(journal.has({ token: "t2", fence: 1n })).toBe(false);
  expect(journal.finish(success("t1"))).toBe(false);
  expect(journal.unacknowledged()).toMatchObject([{ token: "t1", result: "done" }]);
  expect(open().settleOrphans("boot-1")).toMatchObject([{ token: "t1", outcome: StepResult_Outcome.FAILED }]);
});

it("starts nothing when it cannot be read", () => {
  rmSync(dir, { recursive: true });
  writeFileSync(dir, "a file where the folder should be");
  const journal = open();
  expect(() => journal.start(attempt("t1"))).toThrow(/cannot be read: .*; make room there or mend it/);
});

it("takes an outcome that was cut off for none, and can write it again", () => {
  const journal = open();
  journal.start(attempt("t1"));
  journal.finish(success("t1"));
  const file = join(dir, "t1@1.json");
  writeFileSync(file, readFileSync(file, "utf8").slice(0, -20));
  const again = open();
  expect(again.settleOrphans("boot-1")).toMatchObject([{ token: "t1", outcome: StepResult_Outcome.FAILED }]);
  expect(open().unacknowledged()).toMatchObject([{ token: "t1", outcome: StepResult_Outcome.FAILED }]);
});
