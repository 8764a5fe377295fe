import { describe, expect, it } from "vitest";
import { TaskOutcome } from "../proto/gen/muster/v1/step_pb.ts";
import { doneWith } from "./outcome.ts";
import { Redactor } from "./redact.ts";

function redactor(): Redactor {
  const known = new Redactor();
  known.add("db", Buffer.from("hunter2"));
  return known;
}

const change = (number: number, diff = "") => ({ what: `file /f${number}`, action: "update", diff });

describe("what a step has done", () => {
  it("is shown without secrets, everywhere", () => {
    const done = {
      result: "set hunter2",
      outcome: TaskOutcome.CHANGED,
      facts: { password: "hunter2" },
      changes: [{ what: "user hunter2", action: "set hunter2", diff: "+hunter2\n" }],
    };
    expect(doneWith(done, redactor())).toEqual({
      result: "set [secret db]",
      taskOutcome: TaskOutcome.CHANGED,
      facts: { password: "[secret db]" },
      changes: [{ what: "user [secret db]", action: "set [secret db]", diff: "+[secret db]\n" }],
    });
    expect(doneWith("set hunter2", redactor())).toEqual({ result: "set [secret db]" });
  });

  it("has at most a thousand changes; the last one counts the rest", () => {
    const changes = Array.from({ length: 3000 }, (_, index) => change(index));
    const kept = doneWith({ result: "", changes }, redactor()).changes ?? [];
    expect(kept).toHaveLength(1000);
    expect(kept[998]?.what).toBe("file /f998");
    expect(kept.at(-1)?.what).toBe("2001 more");
  });

  it("has changes of at most a megabyte, each diff of whole lines and at most 16 KiB", () => {
    const diff = "+ä line of a diff\n".repeat(2000);
    const changes = Array.from({ length: 200 }, (_, index) => change(index, diff));
    const kept = doneWith({ result: "", changes }, redactor()).changes ?? [];
    const bytes = kept.map(({ diff = "" }) => Buffer.byteLength(diff));
    expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(1 << 20);
    expect(kept.length).toBeGreaterThan(60);
    expect(Math.max(...bytes)).toBeLessThanOrEqual(16 << 10);
    expect(kept[0]?.diff).toMatch(/a diff\n\.\.\. \(the rest is not shown\)\n$/);
    expect(kept.at(-1)?.what).toBe(`${200 - kept.length + 1} more`);
  });

  it("has no more facts than are kept", () => {
    const facts = { big: "x".repeat(256 << 10) };
    expect(() => doneWith({ result: "", facts }, redactor())).toThrow(/257 KiB, and at most 256 KiB/);
  });
});
