import { describe, expect, it } from "vitest";
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import type { Report } from "./report.ts";
import { at, begin, small, World } from "./testing/world.ts";

const { SUCCEEDED, FAILED, RUNNING, SKIPPED } = Step_State;

/** `STEP CAUSE FROM-TO` of every wait. */
function waitsOf({ waits }: Report): string[] {
  return waits.map(
    ({ step, cause, from, to }) => `${step} ${cause} ${(from - begin) / 1000}-${(to - begin) / 1000}`,
  );
}

const chainOf = ({ chain }: Report) => chain.map(({ step, why, waited }) => [step, why, waited / 1000]);

describe("why a step waited", () => {
  it("was for the last of what it requires", () => {
    const world = new World()
      .step("c1/a", [], [[0, 10]])
      .step("n1/a", [], [[0, 30]])
      .step("n1/b", ["c1/a", "n1/a"], [[30.2, 40]]);
    expect(waitsOf(world.report(40))).toEqual(["n1/b requirement 0-30"]);
  });

  it("was for what joins stand for, also for only some of it", () => {
    const need = { action: { kind: { case: "join" as const, value: { need: 1 } } } };
    const world = new World()
      .step("c1/a", [], [[0, 10]])
      .step("n1/a", [], [[0, 30]])
      .step("_/all", ["c1/a", "n1/a"], [])
      .step("_/any", ["c1/a", "n1/a"], [], need)
      .step("n2/b", ["_/all"], [[30, 31]])
      .step("n3/b", ["_/any"], [[10, 11]]);
    const report = world.report(31);
    expect(waitsOf(report)).toEqual(["n2/b requirement 0-30", "n3/b requirement 0-10"]);
    expect(report.waits.map(({ words }) => words)).toEqual(["for n1/a", "for c1/a"]);
    expect(report.timeline.steps.map(({ id }) => id)).not.toContain("_/all");
  });

  it("was for its node's other step", () => {
    const world = new World().step("n1/a", [], [[0, 20]]).step("n1/b", [], [[20.1, 25]]);
    expect(waitsOf(world.report(25))).toEqual(["n1/b busy 0-20"]);
  });

  it("was for the limit of its task, without the moments between two steps", () => {
    const limit = { limit: 1 };
    const world = new World()
      .step("n1/a", [], [[0, 10]], limit)
      .step("n2/a", [], [[10.2, 20]], limit)
      .step("n3/a", [], [[20.3, 30]], limit);
    const report = world.report(30);
    expect(waitsOf(report)).toEqual(["n2/a limit 0-10.2", "n3/a limit 0-20.3"]);
    expect(chainOf(report)).toEqual([
      ["n1/a", "", 0],
      ["n2/a", "limit", 0.2],
      ["n3/a", "limit", 0.3],
    ]);
  });

  it("was for a go, or for its node", () => {
    const world = new World().step("n1/a", [], [[60, 61]], { hold: true }).step("n2/a", [], [[45, 61]]);
    expect(waitsOf(world.report(61))).toEqual(["n1/a hold 0-60", "n2/a node 0-45"]);
  });

  it("was for its next attempt, and after that for somebody who has it tried again", () => {
    const world = new World().step(
      "n1/a",
      [],
      [
        [0, 10, FAILED, "exit code 1"],
        [14, 20, FAILED, "exit code 1"],
        [100, 110],
      ],
      { retries: 1, interval: { seconds: 4n }, backoff: 1 },
    );
    const report = world.report(110);
    expect(waitsOf(report)).toEqual(["n1/a retry 10-14", "n1/a retry 20-24", "n1/a node 24-100"]);
    expect(report.failures.map(({ number, last }) => [number, last])).toEqual([
      [1, false],
      [2, false],
    ]);
    expect(chainOf(report).map(([, why]) => why)).toEqual(["", "tried again", "tried again"]);
  });

  it("is told of a step that still waits, while the deployment runs", () => {
    const world = new World()
      .step("n1/a", [], [[0, 1, RUNNING]])
      .step("n2/b", ["n1/a"], [])
      .step("n1/c", [], [], {}, { state: Step_State.READY, reason: "n1 is busy with a" })
      .step("n3/d", ["n2/b"], [], {}, { state: Step_State.BLOCKED });
    expect(waitsOf(world.report(undefined, 50))).toEqual(["n2/b requirement 0-50", "n1/c busy 0-50"]);
  });

  it("is nothing for what was left out, and what comes after that waits for nothing", () => {
    const world = new World()
      .step("n1/a", [], [], { unchangedSince: "d-0" }, { state: SKIPPED })
      .step(
        "n1/b",
        ["n1/a"],
        [],
        {},
        {
          state: SUCCEEDED,
          outcome: TaskOutcome.SKIPPED,
          result: "its condition is false",
          endTime: at(0.5),
        },
      )
      .step("n1/c", ["n1/b"], [[0.6, 5]]);
    const report = world.report(5);
    expect(waitsOf(report)).toEqual([]);
    expect([...report.leftOut]).toEqual([
      ["unchanged since d-0", 1],
      ["its condition is false", 1],
    ]);
  });

  it("does not count what failed and was tolerated", () => {
    const world = new World()
      .step("n1/a", [], [[0, 10, FAILED, "broken"]])
      .step("n1/b", ["n1/a"], [], {}, { state: Step_State.BLOCKED })
      .step("n2/a", [], [[0, 20]])
      .step("_/done", ["n1/b", "n2/a"], [], {}, { state: SUCCEEDED, endTime: at(20) })
      .step("c1/z", ["_/done"], [[20, 30]]);
    const report = world.report(30);
    expect(waitsOf(report)).toEqual(["c1/z requirement 0-20"]);
    expect(report.failures).toMatchObject([{ step: "n1/a", reason: "broken", last: true }]);
  });
});

describe("the critical path", () => {
  it("goes back from what ended last, each time to what let it begin", () => {
    expect(chainOf(small.report(90))).toEqual([
      ["c1/db", "", 0],
      ["n2/app", "requires it", 1],
      ["n2/app", "tried again", 5],
      ["c1/check", "requires it", 0.5],
    ]);
  });

  it("goes over a node that was busy", () => {
    const world = new World()
      .step("n1/a", [], [[0, 5]])
      .step("n1/x", [], [[5, 50]])
      .step("n1/b", ["n1/a"], [[50, 60]]);
    expect(chainOf(world.report(60)).map(([step, why]) => `${step} ${why}`)).toEqual([
      "n1/a ",
      "n1/x same node",
      "n1/b same node",
    ]);
  });
});
