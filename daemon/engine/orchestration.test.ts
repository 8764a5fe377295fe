// Joins, limits, conditions, refreshing and ignored failures, through the real engine and store.
import { describe, expect, it } from "vitest";
import { Deployment_State, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { resumeDeployment, stopDeployment } from "../domain/control.ts";
import { restarted } from "../domain/watchdog.ts";
import { join, TasksWorld, task, tasksPlan } from "./tasks-world.ts";

const { RUNNING, SUCCEEDED, FAILED, BLOCKED, PENDING } = Step_State;
const names = (count: number) => Array.from({ length: count }, (_, i) => `n${i + 1}`);

describe("a join", () => {
  it("is done when all that it requires is, without an agent, and then what waits for it starts", async () => {
    const world = await TasksWorld.start(["n1", "n2", "n3"]);
    await world.start(
      tasksPlan([
        task("n1/a"),
        task("n2/a"),
        join("all", ["n1/a", "n2/a"]),
        task("n1/b", ["_/all"]),
        task("n3/b", ["_/all"]),
      ]),
    );
    await world.ends("n1/a");
    expect(world.in(RUNNING)).toEqual(["n2/a"]);
    expect(world.why("_/all")).toContain("waits for 1 of 2 steps (n2/a)");
    expect(world.why("n3/b")).toContain("in the end for n2/a");
    await world.ends("n2/a");
    expect(world.step("_/all")).toMatchObject({ state: SUCCEEDED, attempt: 0 });
    expect(world.in(RUNNING)).toEqual(["n1/b", "n3/b"]);
  });

  it("that needs one only is done by the first, and blocked by the failure of the last", async () => {
    const world = await TasksWorld.start(["n1", "n2", "n3"]);
    const steps = () => [
      task("n1/a"),
      task("n2/a"),
      join("any", ["n1/a", "n2/a"], 1),
      task("n3/b", ["_/any"]),
    ];
    await world.start(tasksPlan(steps()));
    await world.fails("n1/a");
    expect(world.step("_/any").state).toBe(PENDING);
    await world.ends("n2/a");
    expect(world.step("n3/b").state).toBe(RUNNING);
    await world.ends("n3/b");
    await world.start(tasksPlan(steps()));
    await world.fails("n1/a");
    await world.fails("n2/a");
    expect(world.step("n3/b")).toMatchObject({ state: BLOCKED, reason: "n1/a has failed" });
    expect(world.deployment()?.state).toBe(Deployment_State.FAILED);
    await world.retry();
    await world.ends("n2/a");
    expect(world.step("n3/b").state).toBe(RUNNING);
  });

  it("is a point to hold at, and waits for a stop that is taken back", async () => {
    const world = await TasksWorld.start(["n1", "n2"]);
    const plan = tasksPlan([task("n1/a"), join("all", ["n1/a"]), task("n2/b", ["_/all"])]);
    await world.start(plan, ["_/all"]);
    await world.ends("n1/a");
    expect(world.why("_/all")).toContain("held until somebody says go");
    await world.operate(stopDeployment);
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPED);
    const go = { ...world.step("_/all"), hold: false };
    await world.engine.decide((decision) => decision.step(go, {}));
    await world.operate(resumeDeployment);
    expect(world.in(RUNNING)).toEqual(["n2/b"]);
  });

  it("of thousands costs each of them no more than one of a few", { timeout: 60_000 }, async () => {
    const microseconds = async (count: number) => {
      const nodes = names(count);
      const world = await TasksWorld.start(nodes);
      await world.start(
        tasksPlan([
          ...nodes.map((node) => task(`${node}/a`)),
          join(
            "all",
            nodes.map((node) => `${node}/a`),
          ),
          task(
            "n1/b",
            nodes.map((node) => `${node}/a`),
          ),
        ]),
      );
      const before = process.cpuUsage();
      await Promise.all(nodes.map((node) => world.ends(`${node}/a`)));
      const { user } = process.cpuUsage(before);
      expect(world.in(RUNNING)).toEqual(["n1/b"]);
      expect(world.step("_/all").state).toBe(SUCCEEDED);
      return user / count;
    };
    await microseconds(250);
    // One that reads all of them each time needs eight times as much, not twice.
    expect(await microseconds(2_000)).toBeLessThan(3 * (await microseconds(250)));
  });
});

describe("a limit", () => {
  const limited = (nodes: string[], limit: number, init = {}) =>
    tasksPlan(nodes.map((node) => task(`${node}/a`, [], { limit, ...init })));

  it("lets so many run at once, in the order of the plan, and says who has the turn", async () => {
    const world = await TasksWorld.start(names(4));
    await world.start(limited(names(4), 2));
    expect(world.in(RUNNING)).toEqual(["n1/a", "n2/a"]);
    expect(world.why("n3/a")).toContain("no more than 2 a at once, and n1, n2 have it now");
    await world.fails("n2/a");
    expect(world.in(RUNNING)).toEqual(["n1/a", "n3/a"]);
    await world.ends("n1/a");
    await world.ends("n3/a");
    await world.ends("n4/a");
    expect(world.in(SUCCEEDED)).toEqual(["n1/a", "n3/a", "n4/a"]);
  });

  it("passes over a node that is not there, and does not forget it", async () => {
    const world = await TasksWorld.start(names(4));
    await world.gone("n2");
    await world.start(limited(names(4), 1));
    await world.ends("n1/a");
    expect(world.in(RUNNING)).toEqual(["n3/a"]);
    await world.hello("n2", "1", { environment: Environment.INSTALLED } as never);
    expect(world.in(RUNNING)).toEqual(["n3/a"]);
    await world.ends("n3/a");
    expect(world.in(RUNNING)).toHaveLength(1);
    for (let left = 0; left < 2; left++) await world.ends(world.in(RUNNING)[0] ?? "");
    expect(world.deployment()?.state).toBe(Deployment_State.SUCCEEDED);
  });

  it("goes on to the next when the node of the first in the queue has gone meanwhile", async () => {
    const world = await TasksWorld.start(names(3));
    await world.start(limited(names(3), 1));
    await world.gone("n2");
    await world.ends("n1/a");
    expect(world.in(RUNNING)).toEqual(["n3/a"]);
  });

  it("keeps the turn of a step that is about to be tried again", async () => {
    const world = await TasksWorld.start(names(2));
    await world.start(limited(names(2), 1, { retries: 1, interval: { seconds: 7n }, backoff: 3 }));
    await world.fails("n1/a");
    await world.passes(6_000);
    expect(world.in(RUNNING)).toEqual([]);
    await world.passes(1_001);
    expect(world.in(RUNNING)).toEqual(["n1/a"]);
    await world.fails("n1/a");
    expect(world.in(RUNNING)).toEqual(["n2/a"]);
  });

  it("holds again after the daemon was restarted, and after a stop", async () => {
    const world = await TasksWorld.start(names(3));
    await world.start(limited(names(3), 1));
    await world.open();
    await world.engine.decide(restarted);
    for (const name of names(3)) {
      const running =
        world.step(`${name}/a`).state === Step_State.UNKNOWN ? [world.step(`${name}/a`).token] : [];
      await world.hello(name, "1", { environment: Environment.INSTALLED, running } as never);
    }
    expect(world.in(RUNNING)).toEqual(["n1/a"]);
    await world.operate(stopDeployment);
    await world.ends("n1/a");
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPED);
    await world.operate(resumeDeployment);
    expect(world.in(RUNNING)).toEqual(["n2/a"]);
    await world.ends("n2/a");
    expect(world.in(RUNNING)).toEqual(["n3/a"]);
  });
});

describe("one mute node among 300", () => {
  it("delays nobody", async () => {
    const nodes = names(300);
    const world = await TasksWorld.start(nodes);
    await world.gone("n7");
    await world.start(
      tasksPlan(
        nodes.flatMap((node) => [task(`${node}/a`), task(`${node}/b`, [`${node}/a`], { limit: 300 })]),
      ),
    );
    const others = nodes.filter((node) => node !== "n7");
    for (const node of others) await world.ends(`${node}/a`);
    for (const node of others) await world.ends(`${node}/b`);
    expect(world.in(SUCCEEDED)).toHaveLength(2 * others.length);
    expect(world.why("n7/a")).toContain("n7's agent is not there");
  });
});

describe("what need not be done", () => {
  it("is skipped by a condition on what has happened, without an attempt and without its node", async () => {
    const world = await TasksWorld.start(["n1", "n2"]);
    await world.start(
      tasksPlan([
        task("n1/a"),
        task("n1/b", ["n1/a"], { condition: 'tasks["a"].outcome == "ok"' }),
        task("n1/c", ["n1/b"], { condition: 'changed("a") && tasks["b"].outcome == "skipped"' }),
      ]),
    );
    await world.ends("n1/a");
    expect(world.step("n1/b")).toMatchObject({ state: SUCCEEDED, outcome: TaskOutcome.SKIPPED, attempt: 0 });
    expect(world.step("n1/b").result).toContain('condition is false: tasks["a"].outcome == "ok"');
    expect(world.in(RUNNING)).toEqual(["n1/c"]);
    await world.ends("n1/c");
    expect(world.node("n1").state).toBe(Node_State.READY);
    expect(world.engine.state.taskRecords.get("n1")?.has("b")).toBe(false);
  });

  it("fails when its condition cannot be evaluated, and says why", async () => {
    const world = await TasksWorld.start(["n1"]);
    await world.start(tasksPlan([task("n1/a", [], { condition: 'tasks["z"].facts.x > 1', retries: 3 })]));
    expect(world.step("n1/a")).toMatchObject({ state: FAILED, attempt: 0 });
    expect(world.step("n1/a").reason).toContain('`tasks["z"].facts.x > 1` cannot be evaluated');
  });

  it("is refreshed only if one of its tasks has changed something", async () => {
    const world = await TasksWorld.start(["n1", "n2"]);
    const steps = ["n1", "n2"].flatMap((node) => [
      task(`${node}/a`),
      task(`${node}/b`, [`${node}/a`], { refreshOn: [`${node}/a`] }),
    ]);
    await world.start(tasksPlan(steps));
    await world.ends("n1/a", { taskOutcome: TaskOutcome.OK });
    await world.ends("n2/a", { taskOutcome: TaskOutcome.CHANGED });
    expect(world.step("n1/b")).toMatchObject({ state: SUCCEEDED, outcome: TaskOutcome.SKIPPED });
    expect(world.in(RUNNING)).toEqual(["n2/b"]);
  });

  it("is not taken for done any more when what it refreshes on has changed and it has failed", async () => {
    const world = await TasksWorld.start(["n1"]);
    await world.start(tasksPlan([task("n1/a"), task("n1/b", ["n1/a"])]));
    await world.ends("n1/a");
    await world.ends("n1/b");
    await world.start(tasksPlan([task("n1/a"), task("n1/b", ["n1/a"], { refreshOn: ["n1/a"] })]));
    expect(world.engine.state.taskRecords.get("n1")?.has("b")).toBe(true);
    await world.ends("n1/a");
    await world.fails("n1/b");
    expect(world.engine.state.taskRecords.get("n1")?.has("b")).toBe(false);
  });
});

describe("a failure that is no matter", () => {
  it("counts as done, keeps its reason, and is tried again by the next deployment", async () => {
    const world = await TasksWorld.start(["n1"]);
    await world.start(tasksPlan([task("n1/a", [], { ignoreFailure: true }), task("n1/b", ["n1/a"])]));
    await world.fails("n1/a", "no such unit");
    expect(world.step("n1/a")).toMatchObject({
      state: SUCCEEDED,
      outcome: TaskOutcome.IGNORED,
      reason: "no such unit",
    });
    await world.ends("n1/b");
    expect(world.deployment()?.state).toBe(Deployment_State.SUCCEEDED);
    expect(world.node("n1").state).toBe(Node_State.READY);
    expect(world.why("n1/a")).toContain("no such unit; its task says that this is no matter");
    const [attempt] = await world.store.attempts({ node: "n1", task: "a" }, undefined, 10);
    expect(attempt).toMatchObject({ state: FAILED, outcome: TaskOutcome.IGNORED, reason: "no such unit" });
    expect(world.engine.state.taskRecords.get("n1")?.has("a")).toBe(false);
  });
});
