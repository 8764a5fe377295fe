// What a decision is: from the state and one input to the changes to store and the effects to carry out
// once they are stored. Decisions know no clock, no I/O and no randomness: the input carries the time.
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { type Event_Severity, EventSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { type NodeEvent, nodeStateAfter } from "./node.ts";
import { type Change, put, type State } from "./state.ts";

export type Effect =
  /** Hand the running attempt of a step to its node's agent. */
  | { do: "assign"; step: string }
  /** Have the driver set the boot disk, then assign: for the reboot into the installed system. */
  | { do: "bootDiskThenAssign"; step: string }
  /** Have the driver boot the node from the network, whatever it does now. */
  | { do: "bootRamdisk"; step: string; node: string }
  /** Have the driver switch the node on, to start what is on its disk. */
  | { do: "powerOn"; node: string }
  /** Ask the driver whether the node is switched on. */
  | { do: "readPower"; node: string }
  | { do: "cancel"; node: string; token: string }
  /** Tell the agent that its outcome is stored. */
  | { do: "acknowledge"; node: string; token: string };

/**
 * One decision in the making: reads see what it has already changed. `finish` gives what to store and do.
 */
export class Decision {
  readonly state: State;
  readonly nowMs: number;
  readonly #changes: Change[] = [];
  readonly #effects: Effect[] = [];

  constructor(state: State, nowMs: number) {
    this.state = state;
    this.nowMs = nowMs;
  }

  get now(): Timestamp {
    return timestampFromMs(this.nowMs);
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

  effect(effect: Effect): void {
    this.#effects.push(effect);
  }

  event(severity: Event_Severity, subject: string, reason: string, message: string): void {
    const value = create(EventSchema, { time: this.now, severity, subject, reason, message });
    this.#changes.push(put({ case: "event", value }));
  }

  /** Changes some fields of a node, and its state by an event of the life cycle. */
  node(node: Node, fields: Partial<Node>, event?: NodeEvent): Node {
    const state = event === undefined ? node.state : nodeStateAfter(node.state, event);
    const value = { ...node, ...fields, state };
    this.change(put({ case: "node", value }));
    return value;
  }

  step(step: Step, fields: Partial<Step>): Step {
    const value = { ...step, ...fields };
    this.change(put({ case: "step", value }));
    return value;
  }
}
