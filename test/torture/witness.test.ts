// The judges of the torture must find guilty what is: otherwise its zeros mean nothing.
import { expect, it } from "vitest";
import { judge } from "./ledger.ts";
import { type View, Witness } from "./witness.ts";

const view = (
  revision: bigint,
  texts: Record<string, string> = {},
  revisions: Record<string, bigint> = {},
): View => ({
  revision,
  texts: new Map(Object.entries(texts)),
  revisions: new Map(Object.entries(revisions)),
});

it("finds a destructive step that was started twice, and one that comes after a newer", () => {
  const lines = [
    "start c-1/n1/partition/1 10",
    "end c-1/n1/partition/1",
    "start c-1/n1/partition/1 10",
    "start c-1/n1/image/1 12",
    "start c-1/n1/image/2 11",
    "start c-1/n1/shell/1 9",
    "acknowledged c-1/n1/partition/1",
  ];
  const verdict = judge("n1", lines);
  expect(verdict).toMatchObject({ steps: 5, destructive: 4, acknowledged: ["c-1/n1/partition/1"] });
  expect(verdict.doubled).toEqual([
    "n1: c-1/n1/partition/1 with fence 10 was started twice",
    "n1: c-1/n1/image/2 with fence 11 was started after one with fence 12",
  ]);
  expect(verdict.repeated).toEqual(["n1: c-1/n1/shell/1 with fence 9 was started after one with fence 12"]);
});

it("accepts the same token with a higher fence: that is another attempt", () => {
  const verdict = judge("n1", ["start c-1/n1/image/1 10", "start c-1/n1/image/1 11"]);
  expect(verdict).toMatchObject({ doubled: [], repeated: [] });
});

it("finds what was acknowledged and is not there any more", () => {
  const witness = new Witness();
  witness.saw("deployment/c-1", 7n);
  witness.asks("task/note", "a");
  witness.wasAcknowledged("task/note", "a");
  witness.compare(view(7n, { "task/note": "a" }, { "deployment/c-1": 8n }));
  expect(witness.lost).toEqual([]);
  witness.compare(view(6n, {}, { "deployment/c-1": 6n }));
  expect(witness.lost).toEqual([
    "the state is of revision 6, 7 was shown before",
    "task/note is not there, expected a",
    "deployment/c-1 is of revision 6, 7 was shown",
  ]);
});

it("accepts either outcome of what was never answered, and no third", () => {
  const witness = new Witness();
  witness.asks("task/note", "a");
  witness.wasAcknowledged("task/note", "a");
  witness.asks("task/note", "b");
  witness.compare(view(1n, { "task/note": "b" }));
  witness.asks("task/note", "c");
  witness.asks("task/note", undefined);
  witness.wasRefused("task/note", undefined);
  witness.compare(view(1n, { "task/note": "b" }));
  expect(witness.lost).toEqual([]);
  witness.asks("task/note", "d");
  witness.compare(view(1n, { "task/note": "a" }));
  expect(witness.lost).toEqual(["task/note is a, expected b or d"]);
});
