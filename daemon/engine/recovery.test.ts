// What the simulator has found: the shortest way to each case in which a deployment hung, or hurt itself.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StepResult_Outcome as Outcome } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Deployment_State, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { NodeSpecSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { Fault_Kind, PowerState } from "../../proto/gen/muster/v1/node_pb.ts";
import { resumeDeployment, stopDeployment } from "../domain/control.ts";
import { powerDone, powerRead } from "../domain/power.ts";
import { heard, late } from "../domain/report.ts";
import { restarted } from "../domain/watchdog.ts";
import { World } from "./deployment-world.ts";

/** A deployment of n1, which has a power driver. */
async function startWithDriver(): Promise<World> {
  const world = await World.start(["n1"]);
  const power = { driver: { case: "qmp" as const, value: { socket: "n1.sock" } } };
  const spec = create(NodeSpecSchema, { name: "n1", power });
  await world.engine.decide((decision) => decision.node(world.node("n1"), { spec }));
  return world;
}

/** n2 waits for n1's task, and is silent. */
async function waitForSilentNode(): Promise<World> {
  const world = await World.start(["n1", "n2"]);
  for (const name of ["n1", "n2"]) {
    await world.provision(name);
    await world.installed(name, `${name}-disk`);
  }
  await world.gone("n2");
  await world.succeed("n1/configure");
  world.take();
  return world;
}

describe("a bootstrap", () => {
  it("is not done by a boot whose power the driver is about to cut", async () => {
    const world = await startWithDriver();
    await world.hello("n1", "boot-before");
    expect(world.step("n1/bootstrap").state).toBe(Step_State.RUNNING);
    expect(world.step("n1/partition").state).toBe(Step_State.PENDING);

    await world.engine.decide((decision) => powerDone(decision, world.step("n1/bootstrap").token, ""));
    await world.hello("n1", "boot-after");
    expect(world.step("n1/bootstrap").state).toBe(Step_State.SUCCEEDED);
    expect(world.step("n1/partition").state).toBe(Step_State.RUNNING);
  });

  it("is not done by what the driver did for an attempt that was given up", async () => {
    const world = await startWithDriver();
    const { token } = world.step("n1/bootstrap");
    await world.operate((decision, deployment) => stopDeployment(decision, deployment));
    await world.retry();
    expect(world.step("n1/bootstrap").attempt).toBe(2);
    await world.engine.decide((decision) => powerDone(decision, token, ""));
    await world.hello("n1", "boot-before-the-second-cut");
    expect(world.step("n1/bootstrap").state).toBe(Step_State.RUNNING);
  });

  it("is done by a boot that is quicker than its driver, and stays", async () => {
    const world = await startWithDriver();
    await world.hello("n1", "boot-after");
    await world.engine.decide((decision) => powerDone(decision, world.step("n1/bootstrap").token, ""));
    await world.passes(5_000);
    expect(world.step("n1/bootstrap").state).toBe(Step_State.RUNNING);
    await world.passes(20_000);
    expect(world.step("n1/bootstrap").state).toBe(Step_State.SUCCEEDED);
    expect(world.step("n1/partition").state).toBe(Step_State.RUNNING);
  });

  it("that failed holds up what is built on it, though the step in between has succeeded", async () => {
    const world = await World.start(["n1", "n3"]);
    await world.hello("n1", "boot");
    await world.succeed("n1/partition");
    await world.finish("n1/image", { outcome: Outcome.FAILED, reason: "no space" });
    await world.gone("n1");
    await world.hello("n3", "boot-of-n3");
    await world.finish("n3/partition", { outcome: Outcome.FAILED, reason: "no such disk" });
    await world.retry();
    await world.engine.decide((decision) =>
      powerDone(decision, world.step("n1/bootstrap").token, "no answer from the BMC"),
    );
    expect(world.step("n1/bootstrap").state).toBe(Step_State.FAILED);
    await world.hello("n1", "boot-2");
    expect(world.step("n1/image").state).toBe(Step_State.BLOCKED);
  });
});

describe("a bootstrap that is done again for what is left", () => {
  /** n1's image has failed, and n1 is not there; the retry takes its bootstrap back. */
  async function takenBack(): Promise<World> {
    const world = await startWithDriver();
    await world.engine.decide((decision) => powerDone(decision, world.step("n1/bootstrap").token, ""));
    await world.hello("n1", "boot");
    await world.succeed("n1/partition");
    await world.finish("n1/image", { outcome: Outcome.FAILED, reason: "no space" });
    await world.gone("n1");
    await world.retry();
    expect(world.step("n1/bootstrap").state).toBe(Step_State.RUNNING);
    return world;
  }

  it("blocks that when it fails, though the step in between has succeeded", async () => {
    const world = await takenBack();
    await world.engine.decide((decision) =>
      powerDone(decision, world.step("n1/bootstrap").token, "no answer"),
    );
    expect(world.step("n1/image")).toMatchObject({
      state: Step_State.BLOCKED,
      reason: "n1/bootstrap has failed",
    });
    expect(world.deployment()?.state).toBe(Deployment_State.FAILED);
  });

  it("starts that when it succeeds, though the step in between has nothing to do", async () => {
    const world = await takenBack();
    await world.engine.decide((decision) => powerDone(decision, world.step("n1/bootstrap").token, ""));
    await world.hello("n1", "boot-2");
    expect(world.step("n1/image")).toMatchObject({ state: Step_State.RUNNING, attempt: 2 });
  });
});

describe("a ramdisk that is started anew before the reboot", () => {
  it("has its identity written to the disk again", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "ramdisk-1");
    for (const task of ["partition", "image", "seed"]) await world.succeed(`n1/${task}`);
    await world.hello("n1", "ramdisk-2");
    expect(world.step("n1/bootloader").reason).toContain("restarted");
    expect(world.step("n1/image")).toMatchObject({ state: Step_State.SUCCEEDED, attempt: 1 });
    expect(world.step("n1/seed")).toMatchObject({ state: Step_State.RUNNING, attempt: 2 });
    await world.succeed("n1/seed");

    await world.retry();
    await world.succeed("n1/bootloader");
    expect(world.step("n1/reboot").state).toBe(Step_State.RUNNING);
  });

  it("is not rebooted into a disk with the old identity when writing it has failed", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "ramdisk-1");
    for (const task of ["partition", "image", "seed", "bootloader"]) await world.succeed(`n1/${task}`);
    await world.finish("n1/reboot", { outcome: Outcome.FAILED, reason: "sync failed" });
    await world.hello("n1", "ramdisk-2");
    await world.retry();
    await world.finish("n1/seed", { outcome: Outcome.FAILED, reason: "no space" });
    expect(world.step("n1/bootloader").state).toBe(Step_State.BLOCKED);
    expect(world.step("n1/reboot")).toMatchObject({
      state: Step_State.BLOCKED,
      reason: "n1/seed has failed",
    });
    expect(world.deployment()?.state).toBe(Deployment_State.FAILED);
  });

  it("does not put the identity of an installed node in doubt", async () => {
    const world = await World.start(["n1"]);
    await world.provision("n1");
    await world.installed("n1", "disk");
    await world.hello("n1", "ramdisk-again");
    expect(world.step("n1/seed").state).toBe(Step_State.SUCCEEDED);
  });
});

describe("a step whose node is not there", () => {
  it("says so, and has the node switched on", async () => {
    const world = await waitForSilentNode();
    await world.passes(5_000);
    expect(world.step("n2/configure")).toMatchObject({
      state: Step_State.READY,
      reason: "waits for n2's agent: see the node's power and console",
    });
    expect(world.take()).toContainEqual({ do: "readPower", node: "n2" });
    await world.engine.decide((decision) => powerRead(decision, world.node("n2"), PowerState.OFF));
    expect(world.take()).toContainEqual({ do: "powerOn", node: "n2" });
    await world.installed("n2", "n2-disk-again");
    expect(world.step("n2/configure")).toMatchObject({ state: Step_State.RUNNING, attempt: 1, reason: "" });
  });

  it("does not wait for ever, and a retry waits anew", async () => {
    const world = await waitForSilentNode();
    await world.passes(5_000);
    await world.passes(14 * 60_000);
    expect(world.step("n2/configure").state).toBe(Step_State.READY);
    await world.passes(2 * 60_000);
    expect(world.step("n2/configure").reason).toMatch(/^lost: n2's agent was not there for 15 minutes/);
    expect(world.deployment()?.state).toBe(Deployment_State.FAILED);

    await world.retry();
    await world.passes(5_000);
    await world.passes(5_000);
    expect(world.step("n2/configure").state).toBe(Step_State.READY);
    await world.installed("n2", "n2-disk-again");
    await world.succeed("n2/configure");
    expect(world.deployment()?.state).toBe(Deployment_State.SUCCEEDED);
  });
});

describe("a daemon that comes back", () => {
  it("gives an agent the time to speak that it could not speak to before", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.gone("n1");
    world.nowMs += 5 * 60_000;
    await world.open();
    await world.engine.decide(restarted);
    await world.passes(5_000);
    expect(world.step("n1/partition").state).toBe(Step_State.UNKNOWN);
  });
});

describe("a clock that is set", () => {
  it.each([86_400_000, -86_400_000])(
    "by %i ms fails nothing, and nothing waits a day longer",
    async (jumpMs) => {
      const world = await World.start(["n1", "n3"], 1);
      await world.hello("n1", "boot");
      world.nowMs += jumpMs;
      world.jumpedMs += jumpMs;
      await world.passes(5_000);
      expect(world.step("n1/partition").state).toBe(Step_State.RUNNING);
      expect(world.step("n3/bootstrap").state).toBe(Step_State.RUNNING);
      await world.passes(700_000);
      expect(world.step("n3/bootstrap").reason).toContain("did not come up");
      expect(world.step("n1/partition").reason).toContain("took longer than 600 s");
    },
  );

  it("by a day while the daemon was away fails nothing either", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    const { token } = world.step("n1/partition");
    world.nowMs += 86_400_000;
    await world.open();
    await world.engine.decide(restarted);
    await world.passes(5_000);
    await world.hello("n1", "boot", { running: [token] } as never);
    await world.passes(5_000);
    expect(world.step("n1/partition")).toMatchObject({ state: Step_State.RUNNING, attempt: 1 });
  });
});

describe("an agent whose heartbeats are late", () => {
  it("puts its step in doubt, and takes the doubt away when it speaks", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    world.take();
    await world.engine.decide((decision) => late(decision, world.node("n1")));
    expect(world.step("n1/partition").state).toBe(Step_State.UNKNOWN);
    expect(world.node("n1")).toMatchObject({ online: true, faults: [{ kind: Fault_Kind.LATE }] });
    expect(world.take()).toContainEqual({ do: "readPower", node: "n1" });
    await world.passes(120_000);
    expect(world.step("n1/partition").state).toBe(Step_State.UNKNOWN);
    await world.engine.decide((decision) => heard(decision, world.node("n1")));
    expect(world.step("n1/partition")).toMatchObject({ state: Step_State.RUNNING, attempt: 1, reason: "" });
    expect(world.node("n1").faults).toEqual([]);
  });

  it("is not trusted by a retry when its machine is off, and is again when it speaks after all", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.succeed("n1/partition");
    await world.engine.decide((decision) => late(decision, world.node("n1")));
    await world.engine.decide((decision) => powerRead(decision, world.node("n1"), PowerState.OFF));
    expect(world.step("n1/image").reason).toMatch(/^lost: n1 is switched off/);
    world.take();
    await world.retry();
    expect(world.step("n1/bootstrap").state).toBe(Step_State.RUNNING);
    expect(world.step("n1/image").state).toBe(Step_State.PENDING);
    expect(world.take().map(({ do: what }) => what)).toContain("bootRamdisk");

    await world.engine.decide((decision) => heard(decision, world.node("n1")));
    expect(world.node("n1")).toMatchObject({ online: true, faults: [] });
  });
});

describe("a node in maintenance", () => {
  it("gets no new step, and is not lost when it is silent or off", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.engine.decide((decision) => decision.node(world.node("n1"), { maintenance: true }));
    await world.succeed("n1/partition");
    expect(world.step("n1/image").state).toBe(Step_State.READY);
    expect(world.step("n1/image").reason).toContain("in maintenance");
    await world.gone("n1");
    await world.engine.decide((decision) => powerRead(decision, world.node("n1"), PowerState.OFF));
    await world.passes(3_600_000);
    expect(world.step("n1/image").state).toBe(Step_State.READY);
    await world.engine.decide((decision) => decision.node(world.node("n1"), { maintenance: false }));
    await world.hello("n1", "boot");
    expect(world.step("n1/image").state).toBe(Step_State.RUNNING);
  });
});

describe("a daemon whose state is an old copy", () => {
  it("is told by the agents, and says so on their nodes", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot", { highestFence: 5_000n } as never);
    expect(world.node("n1").faults).toMatchObject([{ kind: Fault_Kind.STATE_ROLLED_BACK }]);
    expect(world.node("n1").faults[0]?.message).toContain("muster restore");
  });
});

describe("a step that waits for its next attempt", () => {
  it("begins at once after a resume, and waits no longer because a clock was set back", async () => {
    const world = await World.start(["n1"], 2);
    await world.provision("n1");
    await world.installed("n1", "disk");
    await world.finish("n1/configure", { outcome: Outcome.FAILED, reason: "exit code 1" });
    await world.operate((decision, deployment) => stopDeployment(decision, deployment));
    expect(world.deployment()?.state).toBe(Deployment_State.STOPPED);
    await world.operate((decision, deployment) => resumeDeployment(decision, deployment));
    expect(world.step("n1/configure")).toMatchObject({ state: Step_State.RUNNING, attempt: 2 });

    await world.finish("n1/configure", { outcome: Outcome.FAILED, reason: "exit code 1" });
    world.nowMs -= 40 * 86_400_000;
    await world.open();
    await world.engine.decide(restarted);
    await world.installed("n1", "disk");
    await world.passes(301_000);
    expect(world.step("n1/configure")).toMatchObject({ state: Step_State.RUNNING, attempt: 3 });
  });
});
