// What a decision is: from the state and one input to the changes to store and the effects to carry out
// once they are stored. Decisions know no clock, no I/O and no randomness: the input carries the time.
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type Fault_Kind, FaultSchema, type Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { type Event_Severity, EventSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { type NodeEvent, nodeStateAfter } from "./node.ts";
import { type Change, putWhole, type State } from "./state.ts";

export type Effect =
  /** Hand the running attempt of a step to its node's agent. */
  | { do: "assign"; step: string }
  /** Have the driver set the boot disk, then assign: for the reboot into the installed system. */
  | { do: "bootDiskThenAssign"; step: string; token: string }
  /** Have the driver boot the node from the network, whatever it does now. */
  | { do: "bootRamdisk"; step: string; token: string; node: string }
  /** Have the driver switch the node on, to start what is on its disk. */
  | { do: "powerOn"; node: string }
  /** Ask the driver whether the node is switched on. */
  | { do: "readPower"; node: string }
  | { do: "cancel"; node: string; token: string }
  /** Tell the agent that its outcome is stored. */
  | { do: "acknowledge"; node: string; token: string }
  /** The deployment is forgotten: so are the logs of its attempts. */
  | { do: "removeLogs"; deployment: string };

/**
 * One decision in the making: reads see what it has already changed. `finish` gives what to store and do.
 */
export class Decision {
  readonly state: State;
  readonly nowMs: number;
  /** What the changes will be stored as: also the fence of every attempt that begins here. */
  readonly revision: bigint;
  /** Ids of steps (`NODE/TASK`) by deployment that may stand differently now: schedule() looks at them. */
  readonly stirred = new Map<string, Set<string>>();
  /** Names of deployments that have ended here: transitions.ts looks at what comes after them. */
  readonly ended: string[] = [];
  #now: Timestamp | undefined;
  readonly #changes: Change[] = [];
  readonly #effects: Effect[] = [];

  constructor(state: State, nowMs: number, revision: bigint) {
    this.state = state;
    this.nowMs = nowMs;
    this.revision = revision;
  }

  get now(): Timestamp {
    this.#now ??= timestampFromMs(this.nowMs);
    return this.#now;
  }

  get changes(): readonly Change[] {
    return this.#changes;
  }

  get effects(): readonly Effect[] {
    return this.#effects;
  }

  change(...changes: Change[]): void {
    for (const change of changes) {
      this.#changes.push(change);
      this.state.apply(change);
    }
  }

  /** Has schedule() look at these steps, and at whether their deployment has ended. */
  stir(deployment: string, ids: Iterable<string>): void {
    const known = this.stirred.get(deployment) ?? new Set<string>();
    this.stirred.set(deployment, known);
    for (const id of ids) known.add(id);
  }

  effect(effect: Effect): void {
    this.#effects.push(effect);
  }

  event(severity: Event_Severity, subject: string, reason: string, message: string): void {
    const value = create(EventSchema, { time: this.now, severity, subject, reason, message });
    this.#changes.push(putWhole({ case: "event", value }));
  }

  /** Changes some fields of a node, and its state by an event of the life cycle. */
  node(node: Node, fields: Partial<Node>, event?: NodeEvent): Node {
    const state = event === undefined ? node.state : nodeStateAfter(node.state, event);
    const names = Object.keys(fields) as (keyof Node)[];
    if (state === node.state && names.every((name) => node[name] === fields[name])) return node;
    const value = { ...node, ...fields, state };
    this.change(putWhole({ case: "node", value }));
    return value;
  }

  /** A fault that is there already keeps the time since when it is. */
  fault(node: Node, kind: Fault_Kind, message: string): Node {
    const known = node.faults.find((fault) => fault.kind === kind);
    if (known?.message === message) return node;
    const fault = create(FaultSchema, { kind, message, sinceTime: known?.sinceTime ?? this.now });
    return this.node(node, { faults: [...node.faults.filter((other) => other !== known), fault] });
  }

  noFault(node: Node, kind: Fault_Kind): Node {
    const faults = node.faults.filter((fault) => fault.kind !== kind);
    return faults.length === node.faults.length ? node : this.node(node, { faults });
  }

  step(step: Step, fields: Partial<Step>): Step {
    const value = { ...step, ...fields };
    this.change(putWhole({ case: "step", value }));
    return value;
  }
}
