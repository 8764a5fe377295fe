// Roles of which some nodes may fail, tasks that reboot, and checks, through the real engine and store.
import { describe, expect, it } from "vitest";
import { StepResult_Outcome as Outcome } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Deployment_State, Purpose, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { resumeDeployment, stopDeployment } from "../domain/control.ts";
import { restarted } from "../domain/watchdog.ts";
import { join, TasksWorld, task, tasksPlan } from "./tasks-world.ts";

const { RUNNING, SUCCEEDED, BLOCKED, PENDING } = Step_State;
const names = (count: number) => Array.from({ length: count }, (_, i) => `n${i + 1}`);

describe("a role of which nodes may fail", () => {
  const nodes = names(4);
  const roles = { n1: "controller" };
  const plan = (mayFail: number, tolerated = "worker") =>
    tasksPlan(
      [
        ...nodes.flatMap((node) => [task(`${node}/a`), task(`${node}/b`, [`${node}/a`])]),
        join(
          "all",
          nodes.map((node) => `${node}/b`),
        ),
        task("n1/c", ["_/all"]),
      ],
      { roles, tolerances: [{ role: tolerated, mayFail }] },
    );

  it("goes on without them, says so, and takes them back with a retry", async () => {
    const world = await TasksWorld.start(nodes);
    await world.start(plan(1));
    await world.fails("n3/a");
    for (const node of ["n1", "n2", "n4"]) await world.ends(`${node}/a`);
    for (const node of ["n1", "n2", "n4"]) await world.ends(`${node}/b`);
    expect(world.step("n3/b").state).toBe(BLOCKED);
    expect(world.in(RUNNING)).toEqual(["n1/c"]);
    expect(world.why("n3/a")).toContain("demo-1 goes on without n3");
    await world.ends("n1/c");
    expect(world.deployment()).toMatchObject({
      state: Deployment_State.SUCCEEDED,
      reason: "without 1 node of role worker, which may fail (n3: a: exit code 1)",
    });
    expect(world.node("n3").state).toBe(Node_State.ERROR);
    await world.retry();
    await world.ends("n3/a");
    await world.ends("n3/b");
    expect(world.deployment()).toMatchObject({ state: Deployment_State.SUCCEEDED, reason: "" });
    expect(world.node("n3").state).toBe(Node_State.READY);
  });

  it("keeps a node that has failed from what comes after the others, until a retry has it catch up", async () => {
    const world = await TasksWorld.start(nodes);
    const later = join("later", ["_/all"]);
    await world.start(
      tasksPlan(
        [
          ...nodes.map((node) => task(`${node}/a`)),
          join(
            "all",
            nodes.map((node) => `${node}/a`),
          ),
          later,
          ...nodes.map((node) => task(`${node}/z`, ["_/later"])),
        ],
        {
          roles,
          tolerances: [{ role: "worker", mayFail: 1 }],
        },
      ),
    );
    await world.fails("n3/a");
    for (const node of ["n1", "n2", "n4"]) await world.ends(`${node}/a`);
    expect(world.step("n3/z")).toMatchObject({ state: BLOCKED, reason: "n3/a has failed" });
    expect(world.in(RUNNING)).toEqual(["n1/z", "n2/z", "n4/z"]);
    expect(world.why("n3/z")).toContain("it requires n3/a, which has failed");
    for (const node of ["n1", "n2", "n4"]) await world.ends(`${node}/z`);
    await world.retry();
    expect(world.in(RUNNING)).toEqual(["n3/a"]);
    expect(world.why("n3/z")).toContain("waits for n3/a");
    await world.fails("n3/a");
    expect(world.deployment()?.state).toBe(Deployment_State.SUCCEEDED);
    await world.retry();
    await world.ends("n3/a");
    expect(world.in(RUNNING)).toEqual(["n3/z"]);
  });

  it("stops when more of them fail: what runs ends, and nothing begins", async () => {
    const world = await TasksWorld.start(nodes);
    await world.start(plan(1));
    await world.fails("n2/a");
    await world.fails("n3/a");
    expect(world.deployment()).toMatchObject({
      state: Deployment_State.STOPPING,
      reason: "2 nodes of role worker failed (n2, n3), and no more than 1 may",
    });
    await world.ends("n1/a");
    await world.ends("n4/a");
    expect(world.in(RUNNING)).toEqual([]);
    expect(world.deployment()?.state).toBe(Deployment_State.FAILED);
    await world.retry();
    expect(world.in(RUNNING).sort()).toEqual(["n1/b", "n2/a", "n3/a", "n4/b"]);
    await world.fails("n2/a");
    expect(world.deployment()?.state).toBe(Deployment_State.RUNNING);
  });

  it("does not take a stop by force for a failure of all that ran", async () => {
    const world = await TasksWorld.start(nodes);
    await world.start(plan(1));
    await world.operate((...args) => stopDeployment(...args, true));
    for (const node of nodes) await world.ends(`${node}/a`, { outcome: Outcome.CANCELLED });
    expect(world.deployment()).toMatchObject({
      state: Deployment_State.STOPPED,
      reason: "stopped by the operator",
    });
    await world.operate(resumeDeployment);
    expect(world.in(RUNNING)).toHaveLength(4);
  });

  it("that is critical stops with its first failure", async () => {
    const world = await TasksWorld.start(nodes);
    await world.start(plan(0, "controller"));
    await world.fails("n1/a");
    expect(world.deployment()?.reason).toBe("1 node of role controller failed (n1), and none may");
  });

  it("does not excuse nodes of other roles, nor what these hold up", async () => {
    const world = await TasksWorld.start(nodes);
    const steps = [
      task("n1/a"),
      task("n2/a", ["n1/a"]),
      task("n3/a"),
      join("all", ["n2/a", "n3/a"]),
      task("n4/a", ["_/all"]),
    ];
    await world.start(tasksPlan(steps, { roles, tolerances: [{ role: "worker", mayFail: 3 }] }));
    await world.ends("n3/a");
    await world.fails("n1/a");
    expect(world.in(BLOCKED)).toEqual(["n2/a", "_/all", "n4/a"]);
    expect(world.deployment()).toMatchObject({ state: Deployment_State.FAILED, reason: "n1 a: exit code 1" });
  });

  it("is the same after a restart of the daemon", async () => {
    const world = await TasksWorld.start(nodes);
    await world.start(plan(1));
    await world.fails("n3/a");
    for (const node of ["n1", "n2", "n4"]) await world.ends(`${node}/a`);
    for (const node of ["n1", "n2"]) await world.ends(`${node}/b`);
    await world.open();
    await world.engine.decide(restarted);
    const { token } = world.step("n4/b");
    await world.hello("n4", "1", { environment: Environment.INSTALLED, running: [token] } as never);
    await world.hello("n1", "1", { environment: Environment.INSTALLED } as never);
    expect(world.step("n1/c").state).toBe(PENDING);
    await world.ends("n4/b");
    expect(world.step("n1/c").state).toBe(RUNNING);
  });
});

describe("a task that reboots its node", () => {
  const restart = { action: { kind: { case: "restart" as const, value: {} } } };

  it("is done when the node is up with another boot id", async () => {
    const world = await TasksWorld.start(["n1"]);
    await world.start(tasksPlan([task("n1/kernel", [], restart), task("n1/b", ["n1/kernel"])]));
    await world.ends("n1/kernel", { changes: [{ what: "machine", action: "restart" }] });
    expect(world.step("n1/kernel").state).toBe(RUNNING);
    await world.gone("n1");
    expect(world.step("n1/kernel").state).toBe(RUNNING);
    await world.hello("n1", "2", { environment: Environment.INSTALLED } as never);
    expect(world.step("n1/kernel")).toMatchObject({ state: SUCCEEDED, outcome: TaskOutcome.CHANGED });
    expect(world.step("n1/kernel").changes).toHaveLength(1);
    expect(world.in(RUNNING)).toEqual(["n1/b"]);
  });

  it("is done at once when there was no need to", async () => {
    const world = await TasksWorld.start(["n1"]);
    await world.start(tasksPlan([task("n1/kernel", [], restart)]));
    await world.ends("n1/kernel", { taskOutcome: TaskOutcome.OK });
    expect(world.step("n1/kernel")).toMatchObject({ state: SUCCEEDED, outcome: TaskOutcome.OK });
  });

  it("fails when the node comes back in the ramdisk", async () => {
    const world = await TasksWorld.start(["n1"]);
    await world.start(tasksPlan([task("n1/kernel", [], restart)]));
    await world.hello("n1", "2");
    expect(world.step("n1/kernel").reason).toContain("came back in the ramdisk");
  });
});

describe("a check", () => {
  it("keeps what would change, and leaves nodes, records and the cluster as they were", async () => {
    const world = await TasksWorld.start(["n1", "n2"]);
    await world.start(tasksPlan([task("n1/a"), task("n2/a")]));
    await world.ends("n1/a", { facts: { port: 1 } });
    await world.ends("n2/a");
    const before = ["n1", "n2"].map((name) => world.node(name));
    const records = [...(world.engine.state.taskRecords.get("n1")?.values() ?? [])];
    const check = tasksPlan([task("n1/a", [], { hold: true }), task("n2/a")], { purpose: Purpose.CHECK });
    await world.start(check);
    expect(world.in(RUNNING)).toEqual(["n1/a", "n2/a"]);
    await world.ends("n1/a", { changes: [{ what: "file /etc/motd", action: "update", diff: "-a\n+b\n" }] });
    await world.fails("n2/a");
    expect(["n1", "n2"].map((name) => world.node(name))).toEqual(before);
    expect([...(world.engine.state.taskRecords.get("n1")?.values() ?? [])]).toEqual(records);
    expect(world.engine.state.deployments.get("demo-2")?.state).toBe(Deployment_State.FAILED);
    expect(world.engine.state.step("demo-2/n1/a")?.changes).toMatchObject([{ what: "file /etc/motd" }]);
    expect(world.deployment()?.name).toBe("demo-1");
    await world.start(tasksPlan([task("n1/a")]));
    expect(world.deployment()?.name).toBe("demo-3");
  });
});

describe("a release", () => {
  it("has a node say goodbye on its installed system before it goes back into the ramdisk", async () => {
    const world = await TasksWorld.start(["n1"]);
    await world.start(
      tasksPlan(
        [task("n1/goodbye"), task("n1/bootstrap", ["n1/goodbye"]), task("n1/wipe", ["n1/bootstrap"])],
        {
          purpose: Purpose.RELEASE,
        },
      ),
    );
    expect(world.node("n1").state).toBe(Node_State.CONFIGURING);
    await world.ends("n1/goodbye");
    expect(world.engine.state.taskRecords.get("n1")?.has("goodbye") ?? false).toBe(false);
    expect(world.node("n1").state).toBe(Node_State.RELEASING);
    await world.hello("n1", "2");
    expect(world.node("n1").state).toBe(Node_State.CLEANING);
    await world.ends("n1/wipe");
    expect(world.node("n1")).toMatchObject({ state: Node_State.AVAILABLE, cluster: "" });
  });
});
