// What must hold in every world: nothing acknowledged is lost, steps keep their order, and what waits says for
// what. Keeps its own record of what was acknowledged, and collects the violations.
import { toBinary } from "@bufbuild/protobuf";
import { explain } from "../../daemon/domain/explain.ts";
import { resourceName } from "../../daemon/domain/state.ts";
import { joinNode } from "../../daemon/domain/task-order.ts";
import { isProvisioning } from "../../daemon/domain/tasks.ts";
import type { Store } from "../../daemon/state/store.ts";
import type { Assign } from "../../proto/gen/muster/v1/agent_pb.ts";
import { type Step, Step_State, Step_StateSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, EnvironmentSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { type Resource, ResourceSchema, type WatchResponse } from "../../proto/gen/muster/v1/watch_pb.ts";
import { isLeftOut, skippedSteps } from "../../proto/plan/skipped-steps.ts";
import { History } from "./history.ts";
import type { Machine } from "./machine.ts";
import { wrongBeginning, wrongSkip } from "./order.ts";
import { isActive, isDestructive, parts, StepRecord } from "./step-record.ts";
import { nameOf } from "./timeline.ts";
import type { World } from "./world.ts";

const { RUNNING, SUCCEEDED, SKIPPED } = Step_State;
/** What a retry, or a new ramdisk, may have done again. */
const repeatable = ["bootstrap", "seed", "bootloader"];
/** They take as long as the machine takes to boot. */
const unwatched = ["bootstrap", "reboot", "kernel"];
const idleLimitMs = 300_000;
const eventLimit = 2_000;
const changeLimit = 20_000;
const journalLimit = 300;
/** The daemon gives an agent so long before it calls its node lost. */
const graceMs = 180_000;

export class Invariants {
  readonly violations: string[] = [];
  readonly #world: World;
  /** Acknowledged resources by name, as they were published. */
  readonly #known = new Map<string, Resource>();
  readonly #steps = new StepRecord(this.#known);
  readonly #attempts = new Set<string>();
  #revision = 0n;
  readonly #history = new History();
  /** Since when nobody does an attempt that the daemon takes for running, by its token. */
  readonly #idleSinceMs = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Attempts that agents have begun. */
  get attempts(): number {
    return this.#history.attempts;
  }

  /** The last that was acknowledged. */
  get revision(): bigint {
    return this.#revision;
  }

  /** A backup has taken the place of the state: what came after it is forgotten, and that is as it should be. */
  restored(): void {
    this.#known.clear();
    this.#steps.clear();
    this.#attempts.clear();
    this.#idleSinceMs.clear();
    this.#revision = 0n;
  }

  violated(what: string): void {
    this.#world.timeline.trace(`VIOLATION ${what}`);
    this.violations.push(what);
  }

  /** A daemon has opened its state: all that was acknowledged is there, as it was. */
  async reopened(store: Store): Promise<void> {
    const { state, revision } = store;
    if (revision < this.#revision) {
      this.violated(`revision ${this.#revision} was acknowledged, but the state ends at ${revision}`);
    }
    const found = new Map([...state.resources()].map((resource) => [resourceName(resource), resource]));
    for (const [name, known] of this.#known) {
      const now = found.get(name);
      const forgotten = known.kind.case === "event" && state.events.length >= eventLimit;
      // What was written and not yet acknowledged may be there too, and may have deleted it.
      const unsure = revision > this.#revision;
      if (!now && (forgotten || unsure)) this.#forget(name);
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
    const attempts = await store.attempts({}, undefined, this.#attempts.size + 1_000);
    const remembered = new Set(attempts.map(({ name }) => name));
    for (const name of this.#attempts) {
      if (remembered.has(name)) continue;
      if (this.#steps.get(parts(name).step)) this.violated(`attempt ${name} was acknowledged and is lost`);
      this.#attempts.delete(name);
    }
    this.#revision = revision;
  }

  published(changes: WatchResponse[]): void {
    for (const { revision, change } of changes) {
      this.#revision = revision;
      if (change.case === "deleted") this.#forget(change.value);
      if (change.case !== "put") continue;
      const { kind } = change.value;
      const name = resourceName(change.value);
      if (kind.case === "attempt") this.#attempts.add(kind.value.name);
      if (kind.case === "attempt" || kind.case === "taskRecord") continue;
      if (kind.case === "step") this.#checkStep(kind.value, this.#steps.get(kind.value.name));
      this.#learn(name, change.value);
      if (kind.case === "event") {
        if (kind.value.reason === "NODE_LOST") this.#checkLost(kind.value.message);
        this.#world.timeline.trace(`event ${kind.value.subject} ${kind.value.reason}: ${kind.value.message}`);
      }
      if (kind.case === "step") {
        const { state, attempt, reason } = kind.value;
        this.#world.timeline.trace(
          `${name} is ${nameOf(Step_StateSchema, state)} (attempt ${attempt}) ${reason}`,
        );
      }
    }
  }

  /** An agent begins an attempt. */
  started(assign: Assign, environment: Environment, machine: Machine): void {
    const { token, step, attempt } = assign;
    for (const fault of this.#history.begin(assign, machine.name)) this.violated(fault);
    const { task } = parts(token);
    const wanted = isProvisioning(task) ? Environment.BOOTSTRAP : Environment.INSTALLED;
    if (environment !== wanted)
      this.violated(`${token} is executed in ${nameOf(EnvironmentSchema, environment)}`);
    const now = this.#steps.get(step);
    if (now && now.attempt > attempt && isDestructive(task))
      this.violated(`${token} starts after attempt ${now.attempt}`);
    for (const planned of this.#steps.requirements(step)) {
      // Of other nodes, it may have been done without them.
      if (planned.node !== parts(token).node || isLeftOut(planned)) continue;
      // A reboot is proved by the daemon, not by the agent.
      if (unwatched.includes(planned.task)) continue;
      const required = `${parts(token).deployment}/${planned.id}`;
      const isSkipped = this.#steps.get(required)?.outcome === TaskOutcome.SKIPPED;
      const isIgnored = this.#steps.get(required)?.outcome === TaskOutcome.IGNORED;
      if (!isSkipped && !isIgnored && !this.#history.isDone(required))
        this.violated(`${token} starts before ${planned.id} was done`);
    }
  }

  done(assign: Assign): void {
    this.#history.done(assign);
  }

  /** The daemon hands an attempt to an agent. */
  assigned({ token, step, attempt, fence }: Assign): void {
    const known = this.#steps.get(step);
    if (!known || known.attempt < attempt) this.violated(`${token} is handed over before it is stored`);
    else if (known.token === token && known.fence !== fence)
      this.violated(`${token} is handed over with fence ${fence}`);
  }

  /** From time to time: what the daemon takes for running is being done, or it finds out soon. */
  look(): void {
    const { daemon, machines, timeline } = this.#world;
    const life = daemon.life;
    const idle = new Set<string>();
    for (const step of life ? this.#steps.all() : []) {
      if (!isActive(step)) continue;
      const { token, node, task } = step;
      const rests = life?.engine.state.nodes.get(node)?.maintenance;
      if (rests || unwatched.includes(task) || machines.get(node)?.agent?.running === token) continue;
      idle.add(token);
      const sinceMs = Math.max(this.#idleSinceMs.get(token) ?? timeline.nowMs, life?.startMs ?? 0);
      this.#idleSinceMs.set(token, sinceMs);
      if (timeline.nowMs - sinceMs > idleLimitMs)
        this.violated(`nobody does ${token}, and the daemon waits for it`);
    }
    for (const token of this.#idleSinceMs.keys()) if (!idle.has(token)) this.#idleSinceMs.delete(token);
  }

  /** Everything that is not finished says what it waits for. In a large world, a part of it. */
  checkExplanations(): void {
    const { daemon, timeline } = this.#world;
    const life = daemon.life;
    if (!life) return;
    const { state } = life.engine;
    const names = [
      ...[...state.nodes.keys()].map((name) => `node/${name}`),
      ...[...state.deployments.keys()].map((name) => `deployment/${name}`),
      ...[...this.#steps.all()].flatMap((step) =>
        step.state === SUCCEEDED || step.state === SKIPPED ? [] : [`step/${step.name}`],
      ),
    ];
    const stride = Math.ceil(names.length / 100);
    for (let index = 0; index < names.length; index += stride) {
      const name = names[index] ?? "";
      const explanation = explain(state, name, timeline.nowMs + daemon.clockOffsetMs);
      if (!explanation?.why) this.violated(`${name} does not say what it waits for`);
    }
  }

  /** What is kept is bounded, and the logs are whole. */
  end(): void {
    const { daemon, machines, books, operator } = this.#world;
    const life = daemon.life;
    if (!life) return;
    const { store } = life;
    const { events } = store.state;
    const changes = store.changesAfter(store.oldestRevision)?.length ?? 0;
    if (events.length > eventLimit) this.violated(`${events.length} events are kept`);
    if (changes > changeLimit) this.violated(`${changes} changes are kept`);
    for (const { name, boot, agent } of machines.values()) {
      const entries = boot?.journal.size ?? 0;
      if (entries > journalLimit) this.violated(`${entries} entries are in ${name}'s journal`);
      const isOnline = store.state.nodes.get(name)?.online;
      // A world that a restore has led astray may be left in the middle of an attempt.
      if (operator.satisfied && isOnline && agent?.waiting)
        this.violated(`${name}'s agent still has something to tell`);
    }
    for (const fault of books.faults((token) => this.#steps.get(parts(token).step) !== undefined))
      this.violated(fault);
  }

  /** The daemon waits for this attempt's outcome. */
  isAwaited(token: string): boolean {
    const step = this.#steps.get(parts(token).step);
    return step !== undefined && step.token === token && isActive(step);
  }

  #checkStep(step: Step, before: Step | undefined): void {
    const { name, task, state, attempt } = step;
    if (attempt < (before?.attempt ?? 0)) this.violated(`${name} has gone back in attempts`);
    if (before?.state === SUCCEEDED && state !== SUCCEEDED && !repeatable.includes(task)) {
      this.violated(`${name} has succeeded and is undone`);
    }
    if (before?.state === SKIPPED && state !== SKIPPED)
      this.violated(`${name} was skipped and is not any more`);
    if (state === SUCCEEDED && before?.state !== SUCCEEDED) this.#checkSuccess(step);
    if (state === RUNNING && attempt !== before?.attempt) this.#checkBegin(step, before);
  }

  #checkSuccess(step: Step): void {
    const { name, token, task, node, outcome } = step;
    if (node === joinNode || outcome === TaskOutcome.SKIPPED) {
      for (const fault of wrongSkip(this.#steps, step)) this.violated(fault);
    } else if (outcome === TaskOutcome.IGNORED) {
      if (!this.#steps.planned(step)?.ignoreFailure) this.violated(`${name} has failed, and that is ignored`);
    } else if (!unwatched.includes(task) && !this.#history.isDone(token)) {
      this.violated(`${name} counts as succeeded, but ${token} was not done`);
    }
  }

  #checkBegin(step: Step, before: Step | undefined): void {
    const { name, task, fence, revision } = step;
    if (fence !== revision) this.violated(`${name} begins at revision ${revision} with fence ${fence}`);
    if (before?.state === SUCCEEDED) this.violated(`${name} starts again, but has succeeded`);
    for (const fault of wrongBeginning(this.#steps, step)) this.violated(fault);
    for (const other of this.#steps.ofNode(step)) {
      if (other.name === name) continue;
      if (isActive(other)) this.violated(`${name} starts while ${other.name} runs`);
      const later = () =>
        this.#steps.requirements(other.name).some(({ id }) => id === `${step.node}/${task}`);
      if (isDestructive(task) && other.state === SUCCEEDED && later())
        this.violated(`${name} starts after ${other.name} has succeeded`);
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

  #learn(name: string, resource: Resource): void {
    const isNew = !this.#known.has(name);
    this.#known.set(name, resource);
    const { kind } = resource;
    if (kind.case === "step") this.#steps.put(kind.value);
    if (kind.case === "deployment" && isNew)
      for (const step of skippedSteps(kind.value)) this.#steps.put(step);
  }

  #forget(name: string): void {
    this.#known.delete(name);
    if (name.startsWith("step/")) this.#steps.delete(name.slice("step/".length));
    if (!name.startsWith("deployment/")) return;
    const prefix = `${name.slice("deployment/".length)}/`;
    for (const step of [...this.#steps.all()])
      if (step.name.startsWith(prefix)) this.#steps.delete(step.name);
  }
}

/** Events count in millionths of a revision. */
function revisionOf({ kind }: Resource): bigint {
  if (kind.case === "event") return kind.value.revision / 1_000_000n;
  return kind.value?.revision ?? 0n;
}

function same(a: Resource, b: Resource): boolean {
  return Buffer.compare(toBinary(ResourceSchema, a), toBinary(ResourceSchema, b)) === 0;
}
