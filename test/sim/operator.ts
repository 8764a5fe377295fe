// A patient operator: declares and approves machines, starts what is wanted, presses retry, go and the buttons of
// machines without a power driver, and does nothing clever.
import { continueSteps, resumeDeployment, retryDeployment } from "../../daemon/domain/control.ts";
import type { Decision } from "../../daemon/domain/decision.ts";
import { forgetDeployment, startDeployment } from "../../daemon/domain/deploy.ts";
import { approve } from "../../daemon/domain/join.ts";
import { planCluster } from "../../daemon/domain/plan.ts";
import { isRunning } from "../../daemon/domain/schedule.ts";
import { put, type State } from "../../daemon/domain/state.ts";
import { joinNode } from "../../daemon/domain/task-order.ts";
import {
  type Deployment,
  Deployment_State,
  Deployment_StateSchema,
  type PlannedStep,
  Purpose,
  Scope,
  Step_State,
  Step_StateSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, EnvironmentSchema, Node_StateSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { setMaintenance } from "./chaos.ts";
import { applyText, clusterManifests, image, nodeManifests } from "./cluster.ts";
import type { Machine } from "./machine.ts";
import { nameOf } from "./timeline.ts";
import type { World } from "./world.ts";

const lookMs = 20_000;

/** One deployment after another; `change` deploys a changed config task, and nothing but that is done. */
export type Goal = "deploy" | "change" | "release";

export class Operator {
  readonly #world: World;
  readonly #retries: number;
  #goals: readonly Goal[];
  readonly #declares: boolean;
  /** Since nothing goes wrong any more. */
  retriesSince = 0;

  constructor(world: World, options: { taskRetries: number; goals: readonly Goal[]; declares: boolean }) {
    this.#world = world;
    this.#retries = options.taskRetries;
    this.#goals = options.goals;
    this.#declares = options.declares;
  }

  get satisfied(): boolean {
    return this.#started >= this.#goals.length && isWhole(this.#deployment);
  }

  /** Looks after it from time to time, for ever. */
  work(): void {
    const { timeline, random, invariants } = this.#world;
    invariants.look();
    if (random.chance(0.2)) invariants.checkExplanations();
    this.#look();
    timeline.after(random.between(lookMs / 4, 2 * lookMs), () => this.work());
  }

  /** What a deployment that has not ended waits for. */
  explain(): string {
    const { daemon, machines } = this.#world;
    const state = daemon.life?.engine.state;
    if (!state) return "there is no daemon";
    const deployment = this.#deployment;
    const open = state.steps(deployment?.name ?? "").filter(({ state: now }) => now !== Step_State.SUCCEEDED);
    const nodes = [...machines.values()].map(({ name, boot }) => {
      const node = state.nodes.get(name);
      const where = boot
        ? `${boot.id} ${nameOf(EnvironmentSchema, boot.environment)} ${boot.certificate}`
        : "down";
      const known = node
        ? `${nameOf(Node_StateSchema, node.state)} online ${node.online} key ${node.keyDigest}`
        : "";
      return `${name} ${known}; it is ${where}`;
    });
    return [
      deployment &&
        `${deployment.name} ${nameOf(Deployment_StateSchema, deployment.state)} ${deployment.reason}`,
      ...open.map((step) => `${step.name} ${nameOf(Step_StateSchema, step.state)} ${step.reason}`),
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
    const state = this.#world.daemon.life?.engine.state;
    if (!state) return;
    for (const machine of this.#world.machines.values()) this.#lookAt(state, machine);
    const deployment = state.deployment("demo");
    if (deployment && isRunning(deployment)) this.#sayGo(state, deployment);
    else if (deployment && !isWhole(deployment)) this.#goOn(deployment);
    else if (this.#started < this.#goals.length) this.#begin(state);
  }

  #lookAt(state: State, machine: Machine): void {
    const { random, daemon, timeline } = this.#world;
    const node = state.nodes.get(machine.name);
    if (node?.pendingKeyDigest && random.chance(0.5)) {
      timeline.trace(`the operator approves ${machine.name}`);
      daemon.decide((decision) => {
        const now = decision.state.nodes.get(machine.name);
        if (now) approve(decision, now, "");
      });
    }
    // A backup may have brought it back.
    if (node?.maintenance && !this.#world.faulty) setMaintenance(this.#world, machine.name, false);
    const isDeployed = node !== undefined && node.cluster !== "";
    const isExpected = node !== undefined || !this.#declares;
    if (!machine.on && isExpected && (!isDeployed || !machine.hasDriver) && random.chance(0.5))
      machine.switchOn();
    // The ramdisk joins anew by itself.
    const isInstalled = machine.boot?.environment === Environment.INSTALLED;
    if (isInstalled && !node?.keyDigest && random.chance(0.3))
      machine.restart("the operator lets it join anew");
    const step = state.step(`${this.#deployment?.name}/${machine.name}/bootstrap`);
    if (step?.state !== Step_State.RUNNING || machine.hasDriver || !random.chance(0.3)) return;
    machine.restart("the operator presses its button, as the daemon asks");
  }

  #begin(state: State): void {
    const { daemon, machines, timeline, faults, random } = this.#world;
    const all = [...machines.values()];
    if (!state.images.has(image.name))
      daemon.decide((decision) => decision.change(put({ case: "image", value: image })));
    if (this.#declares && all.some(({ name }) => !state.nodes.has(name))) {
      timeline.trace("the operator declares the machines");
      daemon.decide((decision) => applyText(decision, nodeManifests(all)));
      return;
    }
    const isKnown = ({ name }: Machine) => {
      const node = state.nodes.get(name);
      return node?.keyDigest && node.inventory && !node.maintenance;
    };
    if (!all.every(isKnown)) return;
    const index = this.#started;
    const goal = this.#goals[index];
    timeline.trace(`the operator wants: ${goal}`);
    const holds = this.#world.faulty && faults.holds && random.chance(0.5) ? ["image"] : [];
    daemon.decide((decision) => this.#start(decision, goal, index, holds));
  }

  #start(decision: Decision, goal: Goal | undefined, index: number, holds: string[]): void {
    const { machines, invariants, timeline } = this.#world;
    const { state } = decision;
    if (state.deployments.size !== index) return;
    const last = state.deployment("demo");
    if (last && isRunning(last)) return;
    const version = goal === "change" ? index : 0;
    if (goal !== "release")
      applyText(decision, clusterManifests([...machines.keys()], this.#retries, version));
    const cluster = state.clusters.get("demo");
    if (!cluster) return;
    const purpose = goal === "release" ? Purpose.RELEASE : Purpose.DEPLOY;
    const scope = goal === "deploy" ? Scope.ALL : Scope.CHANGED;
    const planned = planCluster(state, cluster, { purpose, scope });
    if ("faults" in planned) {
      timeline.trace(`it cannot be planned: ${planned.faults.map(({ message }) => message).join("; ")}`);
      return;
    }
    const work = planned.plan.steps.filter((step) => !isLeftOut(step));
    const isWrong =
      goal === "change" && this.#goals[index - 1] !== "release" && work.some((step) => !changes(step));
    if (isWrong) invariants.violated(`more than the change is done: ${work.map(({ id }) => id).join(" ")}`);
    startDeployment(
      decision,
      cluster,
      planned.plan,
      planned.plan.steps.some(({ task }) => holds.includes(task)) ? holds : [],
    );
  }

  #sayGo(state: State, deployment: Deployment): void {
    const { daemon, random } = this.#world;
    const held = state
      .stepBook(deployment.name)
      .live()
      .filter(({ hold }) => hold);
    if (!held.length || !random.chance(0.3)) return;
    daemon.decide((decision) => {
      const now = decision.state.deployments.get(deployment.name);
      if (now) continueSteps(decision, now, []);
    });
  }

  #goOn({ name, state: ended, reason }: Deployment): void {
    const { daemon, timeline, random, faulty } = this.#world;
    const resumes = ended === Deployment_State.STOPPED && random.chance(0.5);
    timeline.trace(`the operator presses ${resumes ? "resume" : "retry"}: ${reason}`);
    if (!faulty) this.retriesSince++;
    daemon.decide((decision) => {
      const now = decision.state.deployments.get(name);
      if (!now || isRunning(now) || isWhole(now)) return;
      if (resumes) resumeDeployment(decision, now);
      else if (retryDeployment(decision, now) === 0) resumeDeployment(decision, now);
    });
  }

  /** At the very end: nothing of the cluster is left. */
  forget(): void {
    this.#goals = [];
    this.#world.timeline.trace("the operator deletes the cluster");
    this.#world.daemon.decide((decision) => {
      for (const deployment of [...decision.state.deployments.values()])
        forgetDeployment(decision, deployment);
      decision.change({ delete: "cluster/demo" });
    });
  }
}

/** All of it is done: also what the cluster could do without. */
function isWhole(deployment: Deployment | undefined): boolean {
  return deployment?.state === Deployment_State.SUCCEEDED && !deployment.reason;
}

/** What a change brings about, and what may have been passed over before. */
function changes({ node, task }: PlannedStep): boolean {
  return node === joinNode || ["watch", "reload", "roll", "maybe"].includes(task);
}
