// What must hold in every world. Keeps its own record of what was acknowledged and of what was really done, and
// collects the violations.
import { toBinary } from "@bufbuild/protobuf";
import { resourceName } from "../../daemon/domain/state.ts";
import { isProvisioning } from "../../daemon/domain/tasks.ts";
import type { Store } from "../../daemon/state/store.ts";
import type { Assign } from "../../proto/gen/muster/v1/agent_pb.ts";
import {
  type PlannedStep,
  type Step,
  Step_State,
  Step_StateSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, EnvironmentSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { type Resource, ResourceSchema, type WatchResponse } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Machine } from "./machine.ts";
import { nameOf } from "./timeline.ts";
import type { World } from "./world.ts";

const { RUNNING, SUCCEEDED, UNKNOWN } = Step_State;
const destructive = ["partition", "image"];
/** What a retry, or a new ramdisk, may have done again. */
const repeatable = ["bootstrap", "seed", "bootloader"];
/** They take as long as the machine takes to boot. */
const unwatched = ["bootstrap", "reboot"];
const idleLimitMs = 200_000;
const eventLimit = 2_000;
/** The daemon gives an agent so long before it calls its node lost. */
const graceMs = 60_000;

export class Invariants {
  readonly violations: string[] = [];
  readonly #world: World;
  /** Acknowledged resources by name, as they were published. */
  readonly #known = new Map<string, Resource>();
  /** Of these, the steps. */
  readonly #steps = new Map<string, Step>();
  #revision = 0n;
  /** Attempts that an agent has begun, ever and anywhere. */
  readonly #started = new Set<string>();
  /** Steps, and attempts of them, that were really done. */
  readonly #done = new Set<string>();
  /** Since when nobody does an attempt that the daemon takes for running, by its token. */
  readonly #idleSinceMs = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  get attempts(): number {
    return this.#started.size;
  }

  violated(what: string): void {
    this.#world.timeline.trace(`VIOLATION ${what}`);
    this.violations.push(what);
  }

  /** A daemon has opened its state: all that was acknowledged is there, as it was. */
  reopened({ state, revision }: Store): void {
    if (revision < this.#revision) {
      this.violated(`revision ${this.#revision} was acknowledged, but the state ends at ${revision}`);
    }
    const found = new Map([...state.resources()].map((resource) => [resourceName(resource), resource]));
    for (const [name, known] of this.#known) {
      const now = found.get(name);
      const forgotten = known.kind.case === "event" && state.events.length >= eventLimit;
      if (!now && forgotten) this.#known.delete(name);
      else if (!now) this.violated(`${name} was acknowledged and is lost`);
      else if (revisionOf(now) <= this.#revision && !same(now, known)) {
        this.violated(`${name} is not as it was acknowledged`);
      }
    }
    for (const [name, resource] of found) {
      if (!this.#known.has(name) && revisionOf(resource) <= this.#revision) {
        this.violated(`${name} has appeared from nowhere`);
      }
      this.#learn(name, resource);
    }
    this.#revision = revision;
  }

  published(changes: WatchResponse[]): void {
    for (const { revision, change } of changes) {
      this.#revision = revision;
      if (change.case !== "put") continue;
      const { kind } = change.value;
      const name = resourceName(change.value);
      if (kind.case === "step") this.#checkStep(kind.value, this.#step(kind.value.name));
      this.#learn(name, change.value);
      if (kind.case === "event") {
        if (kind.value.reason === "NODE_LOST") this.#checkLost(kind.value.message);
        this.#world.timeline.trace(`event ${kind.value.subject} ${kind.value.reason}: ${kind.value.message}`);
      }
      if (kind.case === "step") {
        this.#world.timeline.trace(
          `${name} is ${nameOf(Step_StateSchema, kind.value.state)} (attempt ${kind.value.attempt})`,
        );
      }
    }
    const events = this.#world.daemon.life?.engine.state.events.length ?? 0;
    if (events > eventLimit) this.violated(`${events} events are kept`);
  }

  /** An agent begins an attempt. */
  started({ token, step, attempt }: Assign, environment: Environment, machine: Machine): void {
    if (this.#started.has(token)) this.violated(`${token} is executed twice`);
    this.#started.add(token);
    const { task } = parts(step);
    const wanted = isProvisioning(task) ? Environment.BOOTSTRAP : Environment.INSTALLED;
    if (environment !== wanted)
      this.violated(`${token} is executed in ${nameOf(EnvironmentSchema, environment)}`);
    if (machine.agent?.running) this.violated(`${token} starts while ${machine.agent.running} runs`);
    const now = this.#step(step);
    if (now && now.attempt > attempt) this.violated(`${token} starts after attempt ${now.attempt}`);
    for (const { id } of this.#requirements(step)) {
      if (parts(id).task !== "bootstrap" && !this.#isDone(step, id))
        this.violated(`${token} starts before ${id} was done`);
    }
  }

  done({ step, token }: Assign): void {
    this.#done.add(step).add(token);
  }

  /** The daemon hands an attempt to an agent. */
  assigned({ token }: Assign): void {
    if (!this.isAwaited(token))
      this.violated(`${token} is handed over before it is stored, or after its end`);
  }

  /** From time to time: what the daemon takes for running is being done, or it finds out soon. */
  look(): void {
    const { daemon, machines, timeline } = this.#world;
    const life = daemon.life;
    const idle = new Set<string>();
    for (const step of life ? this.#steps.values() : []) {
      if (!isActive(step)) continue;
      const { token, node, task } = step;
      if (unwatched.includes(task) || machines.get(node)?.agent?.running === token) continue;
      idle.add(token);
      const sinceMs = Math.max(this.#idleSinceMs.get(token) ?? timeline.nowMs, life?.startMs ?? 0);
      this.#idleSinceMs.set(token, sinceMs);
      if (timeline.nowMs - sinceMs > idleLimitMs)
        this.violated(`nobody does ${token}, and the daemon waits for it`);
    }
    for (const token of this.#idleSinceMs.keys()) if (!idle.has(token)) this.#idleSinceMs.delete(token);
  }

  /** The daemon waits for this attempt's outcome. */
  isAwaited(token: string): boolean {
    const step = this.#step(token.slice(0, token.lastIndexOf("/")));
    return step !== undefined && step.token === token && isActive(step);
  }

  #checkStep(step: Step, before: Step | undefined): void {
    const began = step.state === RUNNING && step.attempt !== before?.attempt;
    if (step.attempt < (before?.attempt ?? 0)) this.violated(`${step.name} has gone back in attempts`);
    if (before?.state === SUCCEEDED && step.state !== SUCCEEDED && !repeatable.includes(step.task)) {
      this.violated(`${step.name} has succeeded and is undone`);
    }
    const byAgent = !unwatched.includes(step.task);
    if (step.state === SUCCEEDED && byAgent && !this.#done.has(step.token)) {
      this.violated(`${step.name} counts as succeeded, but ${step.token} was not done`);
    }
    if (!began) return;
    if (before?.state === SUCCEEDED) this.violated(`${step.name} starts again, but has succeeded`);
    for (const { id } of this.#requirements(step.name)) {
      const required = this.#step(`${step.deployment}/${id}`);
      if (required?.state !== SUCCEEDED) this.violated(`${step.name} starts before ${id} has succeeded`);
    }
    for (const other of this.#stepsOf(step)) {
      if (other.name === step.name) continue;
      if (isActive(other)) this.violated(`${step.name} starts while ${other.name} runs`);
      if (destructive.includes(step.task) && other.state === SUCCEEDED && this.#isLater(other, step)) {
        this.violated(`${step.name} starts after ${other.name} has succeeded`);
      }
    }
  }

  /** Silence is the agent's only if it had the time to speak. */
  #checkLost(message: string): void {
    const { daemon, timeline } = this.#world;
    const upMs = timeline.nowMs - (daemon.life?.startMs ?? 0);
    if (message.includes("no word") && upMs < graceMs) {
      this.violated(`the daemon has listened for ${upMs} ms only, and says: ${message}`);
    }
  }

  #isDone(step: string, id: string): boolean {
    const { deployment } = parts(step);
    const { node, task } = parts(`${deployment}/${id}`);
    // A reboot is proved by the daemon, not by the agent.
    return task === "reboot" || this.#done.has(`${deployment}/${node}/${task}`);
  }

  #isLater(other: Step, step: Step): boolean {
    return this.#requirements(other.name).some(({ id }) => id === `${step.node}/${step.task}`);
  }

  /** All that a step waits for, directly or further back. */
  #requirements(step: string): PlannedStep[] {
    const { deployment, node, task } = parts(step);
    const resource = this.#known.get(`deployment/${deployment}`)?.kind;
    const steps = resource?.case === "deployment" ? (resource.value.plan?.steps ?? []) : [];
    const planned = new Map(steps.map((other) => [other.id, other]));
    const found = new Map<string, PlannedStep>();
    const visit = (id: string) => {
      for (const required of planned.get(id)?.requires ?? []) {
        const other = planned.get(required);
        if (!other || found.has(required)) continue;
        found.set(required, other);
        visit(required);
      }
    };
    visit(`${node}/${task}`);
    return [...found.values()];
  }

  #learn(name: string, resource: Resource): void {
    this.#known.set(name, resource);
    if (resource.kind.case === "step") this.#steps.set(resource.kind.value.name, resource.kind.value);
  }

  #step(name: string): Step | undefined {
    return this.#steps.get(name);
  }

  #stepsOf({ deployment, node }: Step): Step[] {
    return [...this.#steps.values()].filter(
      (other) => other.deployment === deployment && other.node === node,
    );
  }
}

function isActive({ state }: Step): boolean {
  return state === RUNNING || state === UNKNOWN;
}

/** Events count in thousandths of a revision. */
function revisionOf({ kind }: Resource): bigint {
  if (kind.case === "event") return kind.value.revision / 1000n;
  return kind.value?.revision ?? 0n;
}

function same(a: Resource, b: Resource): boolean {
  return Buffer.compare(toBinary(ResourceSchema, a), toBinary(ResourceSchema, b)) === 0;
}

/** `DEPLOYMENT/NODE/TASK`, or without the deployment. */
function parts(name: string): { deployment: string; node: string; task: string } {
  const [task = "", node = "", deployment = ""] = name.split("/").reverse();
  return { deployment, node, task };
}
