// A patient operator: starts the deployment, presses retry when it has ended without success, and does nothing
// clever.
import { create } from "@bufbuild/protobuf";
import type { Decision } from "../../daemon/domain/decision.ts";
import { isRunning, retryDeployment, startDeployment, stopDeployment } from "../../daemon/domain/deploy.ts";
import { put } from "../../daemon/domain/state.ts";
import { ClusterSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  type Deployment,
  Deployment_State,
  Deployment_StateSchema,
  Step_State,
  Step_StateSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import {
  EnvironmentSchema,
  Node_State,
  Node_StateSchema,
  NodeSchema,
} from "../../proto/gen/muster/v1/node_pb.ts";
import { planOf } from "./cluster.ts";
import type { Machine } from "./machine.ts";
import { nameOf } from "./timeline.ts";
import type { World } from "./world.ts";

const lookMs = 20_000;

export class Operator {
  readonly #world: World;
  readonly #retries: number;
  readonly #wanted: number;
  /** Since nothing goes wrong any more. */
  retriesSince = 0;

  constructor(world: World, options: { taskRetries: number; deployments: number }) {
    this.#world = world;
    this.#retries = options.taskRetries;
    this.#wanted = options.deployments;
  }

  get satisfied(): boolean {
    return this.#started >= this.#wanted && this.#deployment?.state === Deployment_State.SUCCEEDED;
  }

  /** Looks after it from time to time, for ever. */
  work(): void {
    const { timeline, random } = this.#world;
    this.#world.invariants.look();
    this.#look();
    timeline.after(random.between(lookMs / 4, 2 * lookMs), () => this.work());
  }

  stop(): void {
    const { daemon, timeline } = this.#world;
    timeline.trace("the operator presses stop");
    daemon.decide((decision) => {
      const deployment = decision.state.deployment("demo");
      if (deployment) stopDeployment(decision, deployment);
    });
  }

  /** What a deployment that has not ended waits for. */
  explain(): string {
    const state = this.#world.daemon.life?.engine.state;
    const deployment = this.#deployment;
    if (!state || !deployment) return "there is no daemon or no deployment";
    const open = state.steps(deployment.name).filter((step) => step.state !== Step_State.SUCCEEDED);
    const steps = open.map((step) => `${step.name} ${nameOf(Step_StateSchema, step.state)} ${step.reason}`);
    const nodes = [...state.nodes.values()].map((node) => {
      const machine = this.#world.machines.get(node.name);
      const boot = machine?.boot;
      const where = boot ? `${boot.id} ${nameOf(EnvironmentSchema, boot.environment)} ${boot.key}` : "down";
      return `${node.name} ${nameOf(Node_StateSchema, node.state)} online ${node.online} key ${node.keyDigest}; it is ${where}`;
    });
    return [
      `${deployment.name} ${nameOf(Deployment_StateSchema, deployment.state)} ${deployment.reason}`,
      ...steps,
      ...nodes,
    ].join("\n  ");
  }

  get #started(): number {
    return this.#world.daemon.life?.engine.state.deployments.size ?? 0;
  }

  get #deployment(): Deployment | undefined {
    return this.#world.daemon.life?.engine.state.deployment("demo");
  }

  #look(): void {
    const { daemon, timeline } = this.#world;
    const state = daemon.life?.engine.state;
    if (!state) return;
    const deployment = state.deployment("demo");
    if (!deployment || deployment.state === Deployment_State.SUCCEEDED) {
      if (this.#started < this.#wanted) this.#deploy();
    } else if (!isRunning(deployment)) {
      timeline.trace(`the operator presses retry: ${deployment.reason}`);
      if (!this.#world.faulty) this.retriesSince++;
      daemon.decide((decision) => {
        const now = decision.state.deployment("demo");
        if (now && !isRunning(now)) retryDeployment(decision, now);
      });
    }
  }

  #deploy(): void {
    const { daemon, timeline, machines } = this.#world;
    timeline.trace("the operator deploys");
    const names = [...machines.keys()];
    daemon.decide((decision) => {
      const { state } = decision;
      for (const machine of machines.values()) if (!state.nodes.has(machine.name)) declare(decision, machine);
      const cluster =
        state.clusters.get("demo") ?? create(ClusterSchema, { name: "demo", spec: { name: "demo" } });
      const last = state.deployment("demo");
      if (!last || !isRunning(last)) startDeployment(decision, cluster, planOf(names, this.#retries));
    });
  }
}

/** As a manifest and an approval leave it. */
function declare(decision: Decision, { name, mac }: Machine): void {
  const spec = { name, macs: [mac], power: { driver: { case: "qmp" as const, value: { socket: name } } } };
  const node = create(NodeSchema, { name, spec, state: Node_State.AVAILABLE, keyDigest: "key-at-approval" });
  decision.change(put({ case: "node", value: node }));
}
