// Whole deployments through the real engine and store, with the agents, drivers and clock played by the test.
import { create } from "@bufbuild/protobuf";
import { MemoryLevel } from "memory-level";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import {
  HelloSchema,
  StepResult_Outcome as Outcome,
  StepResultSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { ClusterSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  Deployment_State,
  PlannedStepSchema,
  PlanSchema,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import {
  BootTarget,
  Environment,
  Node_State,
  NodeSchema,
  PowerState,
} from "../../proto/gen/muster/v1/node_pb.ts";
import type { Effect } from "../domain/decision.ts";
import { retryDeployment, startDeployment, stopDeployment } from "../domain/deploy.ts";
import { gone, hello, powerDone, powerRead, restarted, result, tick } from "../domain/report.ts";
import { put } from "../domain/state.ts";
import { provisioningTasks } from "../domain/tasks.ts";
import { type Database, Store } from "../state/store.ts";
import { Engine } from "./engine.ts";

const digest = "d".repeat(64);

class World {
  nowMs = 1_000_000;
  readonly effects: Effect[] = [];
  readonly database: Database = new MemoryLevel<string, Uint8Array>({ valueEncoding: "view" });
  engine!: Engine;
  store!: Store;

  /** Nodes n1.., each with the provisioning steps and `configure`; n2's waits for n1's. */
  static async start(nodes: string[], retries = 0): Promise<World> {
    const world = new World();
    await world.open();
    await world.engine.decide((decision) => {
      for (const name of nodes) {
        const node = create(NodeSchema, { name, state: Node_State.AVAILABLE, keyDigest: "k" });
        decision.change(put({ case: "node", value: node }));
      }
      const cluster = create(ClusterSchema, { name: "demo", spec: { name: "demo" } });
      decision.change(put({ case: "cluster", value: cluster }));
      startDeployment(decision, cluster, plan(nodes, retries));
    });
    return world;
  }

  async open(): Promise<void> {
    this.store = await Store.open(this.database);
    this.engine = new Engine({
      store: this.store,
      clock: () => this.nowMs,
      log: pino({ level: "silent" }),
      act: (effects) => this.effects.push(...effects),
      publish: () => {},
      fatal: (error) => {
        throw error;
      },
    });
  }

  take(): Effect[] {
    return this.effects.splice(0);
  }

  step(name: string) {
    const step = this.engine.state.step(`demo-1/${name}`);
    if (!step) throw new Error(`no step ${name}`);
    return step;
  }

  node(name: string) {
    const node = this.engine.state.nodes.get(name);
    if (!node) throw new Error(`no node ${name}`);
    return node;
  }

  deployment() {
    return this.engine.state.deployment("demo");
  }

  hello(name: string, bootId: string, fields: Parameters<typeof create<typeof HelloSchema>>[1] = {}) {
    const message = create(HelloSchema, { environment: Environment.BOOTSTRAP, bootId, ...fields } as never);
    return this.engine.decide((decision) => hello(decision, this.node(name), message));
  }

  installed(name: string, bootId: string, fields: { hostname?: string; imageDigest?: string } = {}) {
    const installed = {
      hostname: name,
      rootDevice: "/dev/mapper/vg0-root",
      imageDigest: digest,
      bootId,
      ...fields,
    };
    return this.hello(name, bootId, { environment: Environment.INSTALLED, installed } as never);
  }

  succeed(name: string) {
    return this.finish(name, { outcome: Outcome.SUCCEEDED, result: "done" });
  }

  finish(name: string, fields: { outcome: Outcome; reason?: string; result?: string }) {
    const { node, token } = this.step(name);
    return this.engine.decide((decision) =>
      result(decision, node, create(StepResultSchema, { token, ...fields })),
    );
  }

  gone(name: string) {
    return this.engine.decide((decision) => gone(decision, this.node(name)));
  }

  async passes(ms: number) {
    this.nowMs += ms;
    await this.engine.decide(tick);
  }

  /** From the ramdisk's hello to the reboot. */
  async provision(name: string) {
    await this.hello(name, `${name}-ramdisk`);
    for (const task of ["partition", "image", "seed", "bootloader"]) await this.succeed(`${name}/${task}`);
    await this.succeed(`${name}/reboot`);
    await this.gone(name);
  }
}

function plan(nodes: string[], retries: number) {
  const steps = nodes.flatMap((node) => {
    const tasks = [...provisioningTasks, "configure"];
    return tasks.map((task, index) => {
      const requires = index ? [`${node}/${tasks[index - 1]}`] : [];
      if (node === "n2" && task === "configure") requires.push("n1/configure");
      return create(PlannedStepSchema, {
        id: `${node}/${task}`,
        node,
        task,
        requires,
        timeout: { seconds: 600n },
        retries: task === "configure" ? retries : 0,
        action: {
          kind:
            task === "reboot"
              ? {
                  case: "reboot",
                  value: { hostname: node, rootDevice: "/dev/mapper/vg0-root", imageDigest: digest },
                }
              : { case: "shell", value: { command: task } },
        },
      });
    });
  });
  return create(PlanSchema, { cluster: "demo", hash: "h", nodes: nodes.map((node) => ({ node })), steps });
}

describe("a deployment", () => {
  it("goes from the network boot over the reboot to the last task", async () => {
    const world = await World.start(["n1"]);
    expect(world.take()).toEqual([{ do: "bootRamdisk", step: "demo-1/n1/bootstrap", node: "n1" }]);
    expect(world.node("n1")).toMatchObject({
      state: Node_State.PROVISIONING,
      bootTarget: BootTarget.RAMDISK,
    });

    await world.provision("n1");
    expect(world.take()).toContainEqual({ do: "bootDiskThenAssign", step: "demo-1/n1/reboot" });
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

  it("calls a node lost after a minute of silence, and a retry finishes the job", async () => {
    const world = await World.start(["n1"]);
    await world.hello("n1", "boot");
    await world.succeed("n1/partition");
    await world.gone("n1");
    await world.passes(61_000);
    expect(world.node("n1").state).toBe(Node_State.LOST);
    expect(world.step("n1/image")).toMatchObject({ state: Step_State.FAILED });
    expect(world.step("n1/image").reason).toMatch(/^lost: no word from n1's agent for 60 s/);
    expect(world.deployment()?.state).toBe(Deployment_State.FAILED);

    world.take();
    await retry(world);
    expect(world.take()).toEqual([{ do: "bootRamdisk", step: "demo-1/n1/bootstrap", node: "n1" }]);
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
    expect(world.step("n1/configure").state).toBe(Step_State.PENDING);
    await world.passes(1_000);
    expect(world.step("n1/configure").state).toBe(Step_State.PENDING);
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
    await retry(world);
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
      powerDone(decision, "demo-1/n1/bootstrap", "no answer from the BMC"),
    );
    expect(world.step("n1/bootstrap")).toMatchObject({
      state: Step_State.FAILED,
      reason: "no answer from the BMC",
    });
    expect(world.node("n1").fault).toBe("no answer from the BMC");
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
    await retry(world);
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
});

async function retry(world: World) {
  await world.engine.decide((decision) => {
    const deployment = decision.state.deployment("demo");
    if (deployment) retryDeployment(decision, deployment);
  });
}
