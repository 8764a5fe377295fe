import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { isBusy, type NodeEvent, nodeEvents, nodeStateAfter, nodeTransitions } from "./node.ts";
import { nodeStatesPage, stateName } from "./node-states-page.ts";

const states = Object.keys(nodeTransitions).map(Number) as Node_State[];
const events = Object.keys(nodeEvents) as NodeEvent[];

describe("the life of a node", () => {
  it("is this table, for every state and event", () => {
    const rows = states.map((state) => {
      const targets = events
        .filter((event) => nodeStateAfter(state, event) !== state)
        .map((event) => `${event} -> ${stateName(nodeStateAfter(state, event))}`);
      return `${stateName(state)}: ${targets.join(", ") || "-"}`;
    });
    expect(rows.join("\n")).toMatchInlineSnapshot(`
      "UNSPECIFIED: -
      DISCOVERED: enrolled -> AWAITING_APPROVAL, approved -> AVAILABLE
      AWAITING_APPROVAL: approved -> AVAILABLE
      AVAILABLE: reserved -> RESERVED
      RESERVED: provision -> PROVISIONING, provisioned -> PROVISIONED, configure -> CONFIGURING, completed -> READY, release -> RELEASING, clean -> CLEANING, failed -> ERROR, silent -> LOST, stopped -> ERROR, untouched -> AVAILABLE, unchanged -> READY
      PROVISIONING: provisioned -> PROVISIONED, completed -> READY, failed -> ERROR, silent -> LOST, stopped -> ERROR
      PROVISIONED: provision -> PROVISIONING, configure -> CONFIGURING, completed -> READY, failed -> ERROR, silent -> LOST, stopped -> ERROR
      CONFIGURING: provision -> PROVISIONING, completed -> READY, release -> RELEASING, failed -> ERROR, silent -> LOST, stopped -> ERROR
      READY: reserved -> RESERVED
      ERROR: reserved -> RESERVED, provision -> PROVISIONING, configure -> CONFIGURING, silent -> LOST
      LOST: reserved -> RESERVED, provision -> PROVISIONING, configure -> CONFIGURING, failed -> ERROR
      CLEANING: release -> RELEASING, cleaned -> AVAILABLE, failed -> ERROR, silent -> LOST, stopped -> ERROR
      RELEASING: clean -> CLEANING, cleaned -> AVAILABLE, failed -> ERROR, silent -> LOST, stopped -> ERROR"
    `);
  });

  it("is the one in the documentation", () => {
    const file = path.join(import.meta.dirname, "../../docs/node-states.md");
    expect(readFileSync(file, "utf8")).toBe(nodeStatesPage());
  });

  it("can be aborted, and can fail, wherever a deployment works on a node", () => {
    const busy = states.filter(isBusy);
    expect(busy).toHaveLength(6);
    for (const state of busy) {
      expect(nodeStateAfter(state, "stopped")).toBe(Node_State.ERROR);
      expect(nodeStateAfter(state, "failed")).toBe(Node_State.ERROR);
      expect(nodeStateAfter(state, "silent")).toBe(Node_State.LOST);
    }
  });

  it("goes on from every state in which a deployment has left a node", () => {
    for (const state of [Node_State.READY, Node_State.ERROR, Node_State.LOST]) {
      expect(nodeStateAfter(state, "reserved")).toBe(Node_State.RESERVED);
    }
  });

  it("reaches every state from the first, and leaves every one of them", () => {
    const reached = new Set<Node_State>([Node_State.DISCOVERED]);
    for (const state of reached) for (const event of events) reached.add(nodeStateAfter(state, event));
    const known = states.filter((state) => state !== Node_State.UNSPECIFIED);
    expect([...reached].sort()).toEqual([...known].sort());
    for (const state of known) expect(Object.keys(nodeTransitions[state] ?? {})).not.toEqual([]);
  });
});
