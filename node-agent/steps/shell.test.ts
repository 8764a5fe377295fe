import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ShellStepSchema, TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import type { StepDone } from "../step.ts";
import { type TestContext, testContext } from "../step-fixture.ts";
import { shell } from "./shell.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "shell-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

async function perform(
  action: MessageInitShape<typeof ShellStepSchema>,
  context: TestContext = testContext(),
): Promise<StepDone> {
  const done = await shell(create(ShellStepSchema, action), context);
  if (typeof done === "string") throw new Error("shell should say more");
  return done;
}

describe("a shell task", () => {
  it("gives the command its environment and stops at the first failing line", async () => {
    const context = testContext({
      values: { cluster: { name: "demo" }, node: { name: "n1", role: "web" }, settings: { color: "red" } },
      secrets: { db: "hunter2" },
    });
    const command =
      'echo "$ROLE $MUSTER_CLUSTER $MUSTER_NODE $MUSTER_SETTING_COLOR $MUSTER_SECRET_DB"\nfalse\necho never';
    const failed = perform({ command, environment: { ROLE: "compute" } }, context);
    await expect(failed).rejects.toMatchObject({ name: "CommandError", code: 1 });
    expect(context.lines).toContain("compute demo n1 red hunter2");
    expect(context.lines).not.toContain("never");
  });

  it("has changed something, unless its exit code says otherwise", async () => {
    const done = await perform({ command: "exit 0", unchangedCodes: [3] });
    expect(done).toMatchObject({ outcome: TaskOutcome.CHANGED });
    expect(done.result).toMatch(/^the command succeeded after \d+\.\d s$/);
    const same = await perform({ command: "exit 3", unchangedCodes: [3] });
    expect(same).toMatchObject({ outcome: TaskOutcome.OK, result: expect.stringContaining("exit code 3") });
    await expect(perform({ command: "exit 4", unchangedCodes: [3] })).rejects.toMatchObject({ code: 4 });
  });

  it("is not run where its file is, or its question is answered", async () => {
    const file = join(dir, "made");
    const command = `echo run >> ${file}`;
    const action = { command, creates: file };
    expect(await perform(action)).toMatchObject({ outcome: TaskOutcome.CHANGED });
    expect(await perform(action)).toMatchObject({
      outcome: TaskOutcome.OK,
      result: `${file} is there already`,
    });
    expect(await perform({ command, unless: `grep -q run ${file}` })).toMatchObject({
      outcome: TaskOutcome.OK,
    });
    expect(readFileSync(file, "utf8")).toBe("run\n");
    await perform({ command, unless: `grep -q walk ${file}` });
    expect(readFileSync(file, "utf8")).toBe("run\nrun\n");
    await expect(perform({ command, unless: "no-such-program" })).rejects.toMatchObject({ code: 127 });
  });

  it("renders what it runs", async () => {
    const context = testContext({ values: { node: { name: "n 1" } }, secrets: { key: "s3cret" } });
    await perform({ command: "echo {{ node.name | sh }} {{ secrets.key }}; pwd", cwd: dir }, context);
    expect(context.lines.slice(1)).toEqual(["n 1 s3cret", dir]);
    await expect(perform({ command: "echo {{ node.nam }}" }, context)).rejects.toThrow(
      "template of command, line 1",
    );
    await expect(perform({ command: "true", cwd: "/no/such" })).rejects.toThrow(
      "there is no directory /no/such",
    );
  });

  it("runs a script as it is, with arguments", async () => {
    const sources = { "bin/hello.sh": '#!/bin/sh\necho "{{ $1 }} $(basename "$0")"\n', "bin/none": "echo\n" };
    const context = testContext({ sources, values: { node: { name: "n1" } } });
    await perform({ script: "bin/hello.sh", arguments: ["{{ node.name }}"] }, context);
    expect(context.lines.at(-1)).toBe("{{ n1 }} hello.sh");
    await expect(perform({ script: "bin/none" }, context)).rejects.toThrow("does not name its interpreter");
    await expect(perform({ script: "bin/gone" }, context)).rejects.toThrow(
      "the plan has no files for bin/gone",
    );
  });

  it("hands over facts as lines or as JSON", async () => {
    const lines = "echo a=1 > $MUSTER_FACTS; echo 'b = c=d' | tr -d ' ' >> $MUSTER_FACTS";
    expect((await perform({ command: lines })).facts).toEqual({ a: "1", b: "c=d" });
    const json = `echo '{"list": [1, {"x": null}]}' > $MUSTER_FACTS`;
    expect((await perform({ command: json })).facts).toEqual({ list: [1, { x: null }] });
    expect((await perform({ command: "true" })).facts).toBeUndefined();
    await expect(perform({ command: "echo hello > $MUSTER_FACTS" })).rejects.toThrow(
      "line 1: write KEY=VALUE",
    );
    await expect(perform({ command: "echo '{a}' > $MUSTER_FACTS" })).rejects.toThrow(
      "begins like a JSON object",
    );
  });

  it("runs nothing in a check but the command that is for it", async () => {
    const file = join(dir, "made");
    const action = { command: `touch ${file}` };
    const check = () => testContext({ check: true });
    expect(await perform(action, check())).toEqual({
      result: `command touch ${file} would be run`,
      outcome: TaskOutcome.CHANGED,
      changes: [{ what: `command touch ${file}`, action: "run", diff: "" }],
    });
    expect(await perform({ ...action, check: "true" }, check())).toMatchObject({ outcome: TaskOutcome.OK });
    expect(await perform({ ...action, check: "echo two are old; false" }, check())).toMatchObject({
      outcome: TaskOutcome.CHANGED,
      changes: [{ diff: "two are old\n" }],
    });
    writeFileSync(join(dir, "there"), "");
    expect(await perform({ ...action, creates: join(dir, "there") }, check())).toMatchObject({
      outcome: TaskOutcome.OK,
    });
    expect(() => readFileSync(file)).toThrow("ENOENT");
  });
});
