import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, it } from "vitest";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { FetchActionSchema } from "../../proto/gen/muster/v1/task_pb.ts";
import { createRunner } from "../runner.ts";
import { fetch } from "./fetch.ts";
import { filesContext, sha256 } from "./files-fixture.ts";

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "muster-fetch-"));
  file = join(dir, "ring");
  writeFileSync(file, "ring of three\n");
});
afterEach(() => rmSync(dir, { recursive: true }));

const action = (fields: object = {}) => create(FetchActionSchema, { path: file, ...fields });

it("sends the file, and says what it was", async () => {
  const context = filesContext();
  expect(await fetch(action(), context)).toEqual({
    result: `${file}: 14 B fetched`,
    outcome: TaskOutcome.CHANGED,
    facts: { path: file, size_bytes: 14, digest: sha256("ring of three\n") },
  });
  expect(context.sent.map(String)).toEqual(["ring of three\n"]);
});

it("has changed nothing if it has fetched the same before", async () => {
  const before = (text: string) => ({ tasks: { task: { facts: { digest: sha256(text) } } } });
  const same = filesContext({}, { values: before("ring of three\n") });
  expect(await fetch(action(), same)).toMatchObject({ outcome: TaskOutcome.OK });
  const other = filesContext({}, { values: before("ring of two\n") });
  expect(await fetch(action(), other)).toMatchObject({ outcome: TaskOutcome.CHANGED });
});

it("makes its text a fact, also in a check, which sends nothing", async () => {
  expect(await fetch(action({ asFact: true }), filesContext())).toMatchObject({
    facts: { content: "ring of three\n" },
  });
  const context = filesContext({}, { check: true });
  expect(await fetch(action({ asFact: true }), context)).toMatchObject({
    result: `${file}: would be fetched`,
    facts: { content: "ring of three\n" },
  });
  expect(context.sent).toEqual([]);
});

it("takes it in a check for no fault that a file is not there yet", async () => {
  const path = join(dir, "later");
  expect(await fetch(action({ path }), filesContext({}, { check: true }))).toEqual({
    result: `${path}: is not there yet`,
    outcome: TaskOutcome.OK,
  });
});

it("refuses what is too large, no text, no file, or not there", async () => {
  await expect(fetch(action({ limit: 13n }), filesContext())).rejects.toThrow(
    /has 14 B, and at most 13 B.*raise/,
  );
  truncateSync(file, 70_000);
  await expect(fetch(action({ asFact: true }), filesContext())).rejects.toThrow(/at most 64 KiB/);
  writeFileSync(file, Buffer.from([0xff, 0xfe]));
  await expect(fetch(action({ asFact: true }), filesContext())).rejects.toThrow(/no text in UTF-8/);
  await expect(fetch(action({ path: dir }), filesContext())).rejects.toThrow(/is no file/);
  await expect(fetch(action({ path: "/nowhere" }), filesContext())).rejects.toThrow(/no file \/nowhere/);
  const pipe = join(dir, "pipe");
  await createRunner(() => {})(["mkfifo", pipe]);
  await expect(fetch(action({ path: pipe }), filesContext())).rejects.toThrow(/is no file/);
});
