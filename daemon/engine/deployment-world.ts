// A deployment with the real engine and store, where a test plays the agents, the drivers and the clock.
import { create } from "@bufbuild/protobuf";
import { MemoryLevel } from "memory-level";
import { pino } from "pino";
import {
  HelloSchema,
  StepResult_Outcome as Outcome,
  StepResultSchema,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { ClusterSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { type Deployment, type Plan, PlanSchema, Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { retryDeployment } from "../domain/control.ts";
import type { Decision, Effect } from "../domain/decision.ts";
import { startDeployment } from "../domain/deploy.ts";
import { planStep } from "../domain/planned.ts";
import { gone, hello, result } from "../domain/report.ts";
import { put } from "../domain/state.ts";
import { provisioningTasks } from "../domain/tasks.ts";
import { tick } from "../domain/watchdog.ts";
import type { Database } from "../state/records.ts";
import { Store } from "../state/store.ts";
import { Engine } from "./engine.ts";

const digest = "d".repeat(64);

export class World {
  nowMs = 1_000_000_000;
  /** How much of that is a clock that was set. */
  jumpedMs = 0;
  readonly effects: Effect[] = [];
  readonly database: Database = new MemoryLevel<string, Uint8Array>({ valueEncoding: "view" });
  engine!: Engine;
  store!: Store;

  /** Nodes n1.., each with the provisioning steps and `configure`; n2's waits for n1's. */
  static async start(nodes: string[], retries = 0): Promise<World> {
    const world = new World();
    await world.open();
    for (const name of nodes) await world.declare(name);
    if (nodes.length) await world.deploy(nodes, retries);
    return world;
  }

  declare(name: string) {
    const node = create(NodeSchema, { name, state: Node_State.AVAILABLE, keyDigest: "k" });
    return this.engine.decide((decision) => decision.change(put({ case: "node", value: node })));
  }

  deploy(nodes: string[], retries = 0, holds: string[] = []) {
    return this.start(plan(nodes, retries), holds);
  }

  start(plan: Plan, holds: string[] = []) {
    return this.engine.decide((decision) => {
      const known = decision.state.clusters.get("demo");
      const cluster = known ?? create(ClusterSchema, { name: "demo", spec: { name: "demo" } });
      if (!known) decision.change(put({ case: "cluster", value: cluster }));
      startDeployment(decision, cluster, plan, holds);
    });
  }

  /** What an operator does with the newest deployment. */
  operate<T>(verb: (decision: Decision, deployment: Deployment) => T): Promise<T> {
    return this.engine.decide((decision) => {
      const deployment = decision.state.deployment("demo");
      if (!deployment) throw new Error("nothing was deployed");
      return verb(decision, deployment);
    });
  }

  async open(): Promise<void> {
    this.store = await Store.open(this.database);
    this.engine = new Engine({
      store: this.store,
      clock: () => this.nowMs,
      steady: () => this.nowMs - this.jumpedMs,
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
    const step = this.engine.state.step(`${this.deployment()?.name}/${name}`);
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

  retry() {
    return this.operate(retryDeployment);
  }

  /** All of a node's deployment. */
  async complete(name: string) {
    await this.provision(name);
    await this.installed(name, `${name}-disk`);
    await this.succeed(`${name}/configure`);
  }

  /** From the ramdisk's hello to the reboot. */
  async provision(name: string) {
    await this.hello(name, `${name}-ramdisk`);
    for (const task of ["partition", "image", "seed", "bootloader"]) await this.succeed(`${name}/${task}`);
    await this.succeed(`${name}/reboot`);
    await this.gone(name);
  }
}

export function plan(nodes: string[], retries: number) {
  const steps = nodes.flatMap((node) => {
    const tasks = [...provisioningTasks, "configure"];
    return tasks.map((task, index) => {
      const requires = index ? [`${node}/${tasks[index - 1]}`] : [];
      if (node === "n2" && task === "configure") requires.push("n1/configure");
      return planStep({
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
  return create(PlanSchema, {
    cluster: "demo",
    purpose: Purpose.DEPLOY,
    hash: "h",
    nodes: nodes.map((node) => ({ node })),
    steps,
  });
}
