import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StepChangeSchema } from "../proto/gen/muster/v1/step_pb.ts";
import { changeLines, checkLines } from "./task-changes.ts";
import { checkSteps } from "./testing/tasks.ts";
import { isJoin } from "./words.ts";

describe("changes", () => {
  it("stand together where they are the same on several nodes, and say what cannot be known", () => {
    const lines = checkLines(checkSteps.filter((step) => !isJoin(step)));
    expect(lines.map(({ text }) => text).join("\n")).toMatchInlineSnapshot(`
      "worker on n2 n3 would change
        update file /etc/worker.conf
            --- /etc/worker.conf
            +++ /etc/worker.conf
            @@ -1 +1 @@
            -port = 1
            +port = 3306
      restart-worker on n3 cannot be checked: there is no systemd
      database on n1 was not looked at: its manifest has no check
      restart-worker on n2 would change nothing"
    `);
  });

  it("are told apart by their diffs, and those of one node stand in the order of its tasks", () => {
    const [, , first, second] = structuredClone(checkSteps);
    if (!first?.changes[0] || !second?.changes[0]) throw new Error("no change in the fixtures");
    second.changes[0].diff = "-a\n+b\n";
    const heads = checkLines([first, second]).filter(({ text }) => !text.startsWith(" "));
    expect(heads.map(({ text }) => text)).toEqual(["worker on n2 would change", "worker on n3 would change"]);
  });

  it("have the tones of a diff, and nothing that could command a terminal", () => {
    const diff = "--- a\n+++ b\n@@ -1,2 +1,2 @@\n same\n-old\n+new\u001b[31m\n";
    const change = create(StepChangeSchema, { what: "file /etc/motd", action: "update", diff });
    expect(changeLines([change]).map(({ text, tone }) => [text.trim(), tone])).toEqual([
      ["update file /etc/motd", "accent"],
      ["--- a", "dim"],
      ["+++ b", "dim"],
      ["@@ -1,2 +1,2 @@", "dim"],
      ["same", "plain"],
      ["-old", "fail"],
      ["+new", "ok"],
    ]);
  });
});
