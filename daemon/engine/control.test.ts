// What an operator does with a deployment that has begun, through the real engine and store.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StepResult_Outcome as Outcome } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Deployment_State, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { leaveOutUnchanged } from "../domain/changed.ts";
import { continueSteps, holdSteps, resumeDeployment, stopDeployment } from "../domain/control.ts";
import { TaskWords } from "../domain/task-words.ts";
import { plan, World } from "./deployment-world.ts";

const stop =
  (force: boolean) =>
  (...[decision, deployment]: Parameters<typeof resumeDeployment>) =>
    stopDeployment(decision, deployment, force);

describe("a stop", () => {
  it("is taken back by resume while it waits for running steps", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.operate(stop(false));
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPING);
    await world.operate(resumeDeployment);
    await world.succeed("n1/partition");
    expect(world.step("n1/image").state).toBe(Step_State.RUNNING);
  });

  it("leaves no node in the middle, and says on each what goes on", async () => {
    const world = await World.start(["n1", "n3"]);
    await world.hello("n1", "boot");
    await world.operate(stop(false));
    await world.succeed("n1/partition");
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPED);
    expect(world.node("n1")).toMatchObject({
      state: Node_State.ERROR,
      reason: "not finished: demo-1 was stopped",
    });
    await world.operate(resumeDeployment);
    expect(world.node("n1").state).toBe(Node_State.PROVISIONING);
    await world.succeed("n1/image");
    expect(world.step("n1/partition").attempt).toBe(1);
  });

  it("by force cancels what runs, and resume begins that step again", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    world.take();
    await world.operate(stop(true));
    const { token } = world.step("n1/partition");
    expect(world.take()).toEqual([{ do: "cancel", node: "n1", token }]);
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPING);
    await world.finish("n1/partition", { outcome: Outcome.CANCELLED, reason: "the step was cancelled" });
    expect(world.step("n1/partition").state).toBe(Step_State.CANCELLED);
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPED);
    await world.operate(resumeDeployment);
    expect(world.step("n1/partition")).toMatchObject({ state: Step_State.RUNNING, attempt: 2 });
  });

  it("by force reaches an agent that was away", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.gone("n1");
    await world.operate(stop(true));
    world.take();
    const { token } = world.step("n1/partition");
    await world.hello("n1", "boot", { running: [token] } as never);
    expect(world.take()).toEqual([{ do: "cancel", node: "n1", token }]);
  });

  it("can be made one by force later", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.operate(stop(false));
    world.take();
    await world.operate(stop(true));
    expect(world.take()).toHaveLength(1);
  });
});

describe("a held step", () => {
  it("waits for a go, while other nodes go on", async () => {
    const world = await World.start([]);
    for (const name of ["n1", "n3"]) await world.declare(name);
    await world.deploy(["n1", "n3"], 0, ["n1/image"]);
    for (const name of ["n1", "n3"]) {
      await world.hello(name, `boot-${name}`);
      await world.succeed(`${name}/partition`);
    }
    expect(world.step("n1/image")).toMatchObject({ state: Step_State.READY, hold: true });
    expect(world.step("n1/image").reason).toContain("muster go demo-1 n1/image");
    expect(world.step("n3/image").state).toBe(Step_State.RUNNING);
    await world.passes(3_600_000);
    expect(world.step("n1/image").state).toBe(Step_State.READY);
    const { steps } = (await world.operate((...args) => continueSteps(...args, []))) as { steps: string[] };
    expect(steps).toEqual(["n1/image"]);
    expect(world.step("n1/image").state).toBe(Step_State.RUNNING);
  });

  it("can be held while the deployment runs, but not once it has begun", async () => {
    const world = await World.start(["n1", "n3"]);
    await world.hello("n1", "boot");
    expect(await world.operate((...args) => holdSteps(...args, ["n1/partition"]))).toEqual({
      begun: ["n1/partition"],
    });
    expect(await world.operate((...args) => holdSteps(...args, ["n1/imag"]))).toEqual({
      unknown: ["n1/imag"],
    });
    // n1's has begun already; the word means those that have not.
    expect(await world.operate((...args) => holdSteps(...args, ["partition"]))).toEqual({
      steps: ["n3/partition"],
    });
  });
});

describe("what has succeeded", () => {
  it("is left out of the next plan, as long as nothing about it changes", async () => {
    const world = await World.start(["n1"]);
    await world.complete("n1");
    expect(world.deployment()?.state).toBe(Deployment_State.SUCCEEDED);
    const next = plan(["n1"], 0);
    leaveOutUnchanged(world.engine.state, next.steps, new Map(), new TaskWords([]));
    expect(new Set(next.steps.map(({ unchangedSince }) => unchangedSince))).toEqual(new Set(["demo-1"]));
    await world.start(next);
    expect(world.deployment()).toMatchObject({ name: "demo-2", state: Deployment_State.SUCCEEDED });
    expect(world.step("n1/image")).toMatchObject({
      state: Step_State.SKIPPED,
      reason: "unchanged since demo-1",
    });
    expect(world.node("n1").state).toBe(Node_State.READY);
    const before = world.engine.state.steps("demo-2");
    await world.open();
    expect(world.engine.state.steps("demo-2")).toEqual(before);
  });

  it("counts for what is new", async () => {
    const world = await World.start(["n1"]);
    await world.complete("n1");
    const next = plan(["n1"], 0);
    const configure = next.steps.find(({ task }) => task === "configure");
    if (configure) configure.digest = "another";
    leaveOutUnchanged(world.engine.state, next.steps, new Map(), new TaskWords([]));
    await world.start(next);
    expect(world.step("n1/configure")).toMatchObject({ state: Step_State.RUNNING, attempt: 1 });
    expect(world.step("n1/configure").token).toBe("demo-2/n1/configure/1");
    await world.succeed("n1/configure");
    expect(world.node("n1").state).toBe(Node_State.READY);
  });

  it("counts no more once the disks are being emptied", async () => {
    const world = await World.start(["n1"]);
    await world.complete("n1");
    await world.deploy(["n1"]);
    await world.hello("n1", "ramdisk-2");
    expect(world.step("n1/partition").state).toBe(Step_State.RUNNING);
    const next = plan(["n1"], 0);
    leaveOutUnchanged(world.engine.state, next.steps, new Map(), new TaskWords([]));
    expect(next.steps.filter(({ unchangedSince }) => unchangedSince)).toEqual([]);
  });

  it("is planned as a whole: one changed provisioning task means all of them and every config task", async () => {
    const world = await World.start(["n1"]);
    await world.complete("n1");
    const next = plan(["n1"], 0);
    const image = next.steps.find(({ task }) => task === "image");
    if (image) image.digest = "another";
    leaveOutUnchanged(world.engine.state, next.steps, new Map(), new TaskWords([]));
    expect(next.steps.filter(({ unchangedSince }) => unchangedSince)).toEqual([]);
  });
});

describe("the history", () => {
  it("has every attempt, with its number, times, outcome, plan and fence", async () => {
    const world = await World.start(["n1"], 1);
    await world.provision("n1");
    await world.installed("n1", "disk");
    await world.finish("n1/configure", { outcome: Outcome.FAILED, reason: "exit code 1" });
    await world.passes(6_000);
    await world.succeed("n1/configure");
    const attempts = await world.store.attempts({ node: "n1", task: "configure" }, undefined, 10);
    expect(attempts.map(({ name, state, reason }) => [name, state, reason])).toEqual([
      ["demo-1/n1/configure/2", Step_State.SUCCEEDED, ""],
      ["demo-1/n1/configure/1", Step_State.FAILED, "exit code 1"],
    ]);
    expect(attempts[0]).toMatchObject({ planHash: "h", number: 2 });
    expect(Number(attempts[0]?.fence)).toBeGreaterThan(Number(attempts[1]?.fence));
  });

  it("forgets the oldest deployments of a cluster, and never uses a name twice", async () => {
    const world = await World.start([]);
    await world.declare("n1");
    for (let count = 0; count < 60; count++) {
      const next = plan(["n1"], 0);
      for (const step of next.steps) step.unchangedSince = "demo-0";
      await world.start(next);
    }
    const { deployments, clusters } = world.engine.state;
    expect(deployments.size).toBe(50);
    expect(clusters.get("demo")).toMatchObject({ deployment: "demo-60" });
    expect(deployments.has("demo-10")).toBe(false);
    expect(world.take()).toContainEqual({ do: "removeLogs", deployment: "demo-10" });
    expect(world.engine.state.steps("demo-10")).toEqual([]);
  });

  it("keeps the newest deployment that says what is on a node's disks", async () => {
    const world = await World.start([]);
    await world.declare("n1");
    for (let count = 0; count < 60; count++) {
      const next = plan(["n1"], 0);
      for (const step of next.steps) step.unchangedSince = "demo-0";
      const [node] = next.nodes;
      if (node && count === 2) node.disks = create(DiskPlanSchema);
      await world.start(next);
    }
    const kept = [...world.engine.state.deployments.keys()];
    expect(kept).toHaveLength(51);
    expect(kept).toContain("demo-3");
  });
});
