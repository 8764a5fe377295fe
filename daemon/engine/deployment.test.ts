// Whole deployments through the real engine and store.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StepResult_Outcome as Outcome, StepResultSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Deployment_State, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { BootTarget, Fault_Kind, Node_State, PowerState } from "../../proto/gen/muster/v1/node_pb.ts";
import { stopDeployment } from "../domain/control.ts";
import { powerDone, powerRead } from "../domain/power.ts";
import { result } from "../domain/report.ts";
import { restarted } from "../domain/watchdog.ts";
import { World } from "./deployment-world.ts";

describe("a deployment", () => {
  it("goes from the network boot over the reboot to the last task", async () => {
    const world = await World.start(["n1"]);
    expect(world.take()).toEqual([
      { do: "bootRamdisk", step: "demo-1/n1/bootstrap", token: "demo-1/n1/bootstrap/1", node: "n1" },
    ]);
    expect(world.node("n1")).toMatchObject({
      state: Node_State.PROVISIONING,
      bootTarget: BootTarget.RAMDISK,
    });

    await world.provision("n1");
    expect(world.take()).toContainEqual({
      do: "bootDiskThenAssign",
      step: "demo-1/n1/reboot",
      token: "demo-1/n1/reboot/1",
    });
    expect(world.node("n1").bootTarget).toBe(BootTarget.DISK);
    expect(world.step("n1/reboot").state).toBe(Step_State.RUNNING);

    await world.installed("n1", "n1-disk");
    expect(world.step("n1/reboot").state).toBe(Step_State.SUCCEEDED);
    expect(world.node("n1").state).toBe(Node_State.CONFIGURING);
    await world.succeed("n1/configure");
    expect(world.node("n1").state).toBe(Node_State.READY);
    expect(world.deployment()?.state).toBe(Deployment_State.SUCCEEDED);
  });

  it("starts a task only after the other node's task that it waits for", async () => {
    const world = await World.start(["n1", "n2"]);
    for (const name of ["n1", "n2"]) await world.provision(name);
    await world.installed("n2", "n2-disk");
    expect(world.step("n2/configure").state).toBe(Step_State.PENDING);
    await world.installed("n1", "n1-disk");
    expect(world.step("n2/configure").state).toBe(Step_State.PENDING);
    await world.succeed("n1/configure");
    expect(world.step("n2/configure").state).toBe(Step_State.RUNNING);
  });

  it("fails a node whose installed system is not the planned one, and says how it differs", async () => {
    const world = await World.start(["n1"]);
    await world.provision("n1");
    await world.installed("n1", "n1-disk", { hostname: "localhost" });
    expect(world.step("n1/reboot")).toMatchObject({
      state: Step_State.FAILED,
      reason: "its host name is localhost, expected n1",
    });
    expect(world.deployment()).toMatchObject({ state: Deployment_State.FAILED });
  });

  it("fails a node that comes back in the ramdisk instead of from its disk", async () => {
    const world = await World.start(["n1"]);
    await world.provision("n1");
    await world.hello("n1", "n1-ramdisk-again");
    expect(world.step("n1/reboot").reason).toContain("came back in the ramdisk");
  });

  it("keeps a step unknown while its agent is silent, and goes on when it speaks", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.gone("n1");
    expect(world.step("n1/partition").state).toBe(Step_State.UNKNOWN);
    expect(world.take()).toContainEqual({ do: "readPower", node: "n1" });
    await world.passes(20_000);
    const { token } = world.step("n1/partition");
    await world.hello("n1", "boot", { running: [token] } as never);
    expect(world.step("n1/partition")).toMatchObject({ state: Step_State.RUNNING, attempt: 1 });
    expect(world.take()).not.toContainEqual({ do: "assign", step: "demo-1/n1/partition" });
  });

  it("hands an attempt over again when the agent never got it", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.gone("n1");
    world.take();
    await world.hello("n1", "boot");
    expect(world.take()).toContainEqual({ do: "assign", step: "demo-1/n1/partition" });
    expect(world.step("n1/partition").attempt).toBe(1);
  });

  it("takes an outcome that the agent brings to its next hello", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    const { token } = world.step("n1/partition");
    await world.gone("n1");
    world.take();
    await world.hello("n1", "boot", { finished: [{ token, outcome: Outcome.SUCCEEDED }] } as never);
    expect(world.step("n1/partition").state).toBe(Step_State.SUCCEEDED);
    expect(world.take()).toContainEqual({ do: "acknowledge", node: "n1", token });
    expect(world.step("n1/image").state).toBe(Step_State.RUNNING);
  });

  it("calls a node lost after three minutes of silence, and a retry finishes the job", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.succeed("n1/partition");
    await world.gone("n1");
    await world.passes(181_000);
    expect(world.node("n1").state).toBe(Node_State.LOST);
    expect(world.step("n1/image")).toMatchObject({ state: Step_State.FAILED });
    expect(world.step("n1/image").reason).toMatch(/^lost: no word from n1's agent for 180 s/);
    expect(world.deployment()?.state).toBe(Deployment_State.FAILED);

    world.take();
    await world.retry();
    expect(world.take()).toEqual([
      { do: "bootRamdisk", step: "demo-1/n1/bootstrap", token: "demo-1/n1/bootstrap/2", node: "n1" },
    ]);
    await world.hello("n1", "boot-2");
    expect(world.step("n1/partition")).toMatchObject({ state: Step_State.SUCCEEDED, attempt: 1 });
    expect(world.step("n1/image")).toMatchObject({ state: Step_State.RUNNING, attempt: 2 });
    for (const task of ["image", "seed", "bootloader", "reboot"]) await world.succeed(`n1/${task}`);
    await world.gone("n1");
    await world.installed("n1", "disk");
    await world.succeed("n1/configure");
    expect(world.deployment()?.state).toBe(Deployment_State.SUCCEEDED);
  });

  it("calls a node lost at once when its power driver reads that it is off", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.gone("n1");
    await world.engine.decide((decision) => powerRead(decision, world.node("n1"), PowerState.OFF));
    expect(world.step("n1/partition").reason).toMatch(/^lost: n1 is switched off/);
  });

  it("fails a step whose machine was restarted under it", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.hello("n1", "boot-2");
    expect(world.step("n1/partition").reason).toContain("restarted while the step ran");
  });

  it("tries a task again after a pause when it has retries, and not more often", async () => {
    const world = await World.start(["n1"], 1);
    await world.provision("n1");
    await world.installed("n1", "disk");
    await world.finish("n1/configure", { outcome: Outcome.FAILED, reason: "exit code 1" });
    expect(world.step("n1/configure").state).toBe(Step_State.READY);
    await world.passes(1_000);
    expect(world.step("n1/configure").state).toBe(Step_State.READY);
    await world.passes(5_000);
    expect(world.step("n1/configure")).toMatchObject({ state: Step_State.RUNNING, attempt: 2 });
    await world.finish("n1/configure", { outcome: Outcome.FAILED, reason: "exit code 1" });
    expect(world.step("n1/configure").state).toBe(Step_State.FAILED);
    expect(world.deployment()?.reason).toBe("n1 configure: exit code 1");
  });

  it("lets other nodes finish when one has failed", async () => {
    const world = await World.start(["n1", "n3"]);
    await world.hello("n1", "boot");
    await world.finish("n1/partition", { outcome: Outcome.FAILED, reason: "no such disk" });
    expect(world.deployment()?.state).toBe(Deployment_State.RUNNING);
    await world.provision("n3");
    await world.installed("n3", "disk");
    await world.succeed("n3/configure");
    expect(world.node("n3").state).toBe(Node_State.READY);
    expect(world.deployment()?.state).toBe(Deployment_State.FAILED);
  });

  it("ignores the outcome of an older attempt, but acknowledges it", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.finish("n1/partition", { outcome: Outcome.FAILED, reason: "x" });
    await world.retry();
    world.take();
    const old = create(StepResultSchema, { token: "demo-1/n1/partition/1", outcome: Outcome.SUCCEEDED });
    await world.engine.decide((decision) => result(decision, "n1", old));
    expect(world.step("n1/partition")).toMatchObject({ state: Step_State.RUNNING, attempt: 2 });
    expect(world.take()).toEqual([{ do: "acknowledge", node: "n1", token: old.token }]);
  });

  it("cancels what an agent still runs for an attempt that nobody waits for", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot", { running: ["demo-0/n1/image/1"] } as never);
    expect(world.take()).toContainEqual({ do: "cancel", node: "n1", token: "demo-0/n1/image/1" });
  });

  it("fails a step when the power driver cannot do its part, with the driver's words", async () => {
    const world = await World.start(["n1"]);
    await world.engine.decide((decision) =>
      powerDone(decision, world.step("n1/bootstrap").token, "no answer from the BMC"),
    );
    expect(world.step("n1/bootstrap")).toMatchObject({
      state: Step_State.FAILED,
      reason: "no answer from the BMC",
    });
    expect(world.node("n1").faults).toMatchObject([
      { kind: Fault_Kind.POWER, message: "no answer from the BMC" },
    ]);
  });

  it("ends a bootstrap that takes too long", async () => {
    const world = await World.start(["n1"]);
    await world.passes(700_000);
    expect(world.step("n1/bootstrap").reason).toContain("did not come up in the ramdisk within 600 s");
  });

  it("stops: what runs may finish, nothing else starts, and a retry goes on", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.engine.decide((decision) => {
      const deployment = decision.state.deployment("demo");
      if (deployment) stopDeployment(decision, deployment);
    });
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPING);
    await world.succeed("n1/partition");
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPED);
    expect(world.step("n1/image").state).toBe(Step_State.PENDING);
    await world.retry();
    expect(world.step("n1/image").state).toBe(Step_State.RUNNING);
  });

  it("is all there after the daemon has died, and goes on", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    const { token } = world.step("n1/partition");
    await world.open();
    await world.engine.decide(restarted);
    expect(world.node("n1").online).toBe(false);
    expect(world.step("n1/partition")).toMatchObject({ state: Step_State.UNKNOWN, attempt: 1, token });
    await world.hello("n1", "boot", { running: [token] } as never);
    expect(world.step("n1/partition").state).toBe(Step_State.RUNNING);
  });

  it("partitions at once a node that is in the ramdisk already", async () => {
    const world = await World.start([]);
    await world.declare("n1");
    await world.hello("n1", "boot");
    await world.deploy(["n1"]);
    expect(world.step("n1/bootstrap").state).toBe(Step_State.SUCCEEDED);
    expect(world.step("n1/partition").state).toBe(Step_State.RUNNING);
  });

  it("does not make a stop wait for a machine that is awaited in the ramdisk", async () => {
    const world = await World.start(["n1"]);
    await world.engine.decide((decision) => {
      const deployment = decision.state.deployment("demo");
      if (deployment) stopDeployment(decision, deployment);
    });
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPED);
    await world.retry();
    expect(world.step("n1/bootstrap")).toMatchObject({ state: Step_State.RUNNING, attempt: 2 });
  });

  it("has its steps in the order of its plan after a restart", async () => {
    const world = await World.start(["n1", "n2"]);
    const tasks = () => world.engine.state.steps("demo-1").map(({ node, task }) => `${node}/${task}`);
    const before = tasks();
    await world.open();
    expect(tasks()).toEqual(before);
  });
});
