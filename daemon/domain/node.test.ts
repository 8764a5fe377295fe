import { describe, expect, it } from "vitest";
import { Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { type NodeEvent, nodeStateAfter, nodeTransitions } from "./node.ts";

const events: NodeEvent[] = [
  "enrolled",
  "approved",
  "reserved",
  "provision",
  "provisioned",
  "configure",
  "completed",
  "failed",
  "silent",
];
const stateName = (state: number) => Object.entries(Node_State).find(([, value]) => value === state)?.[0];

describe("the life of a node", () => {
  it("is this table, for every state and event", () => {
    const rows = Object.keys(nodeTransitions).map((state) => {
      const targets = events
        .filter((event) => nodeStateAfter(Number(state) as Node_State, event) !== Number(state))
        .map((event) => `${event} -> ${stateName(nodeStateAfter(Number(state) as Node_State, event))}`);
      return `${stateName(Number(state))}: ${targets.join(", ") || "-"}`;
    });
    expect(rows.join("\n")).toMatchInlineSnapshot(`
      "UNSPECIFIED: -
      DISCOVERED: enrolled -> AWAITING_APPROVAL, approved -> AVAILABLE
      AWAITING_APPROVAL: approved -> AVAILABLE
      AVAILABLE: reserved -> RESERVED
      RESERVED: provision -> PROVISIONING, provisioned -> PROVISIONED, configure -> CONFIGURING, completed -> READY, failed -> ERROR, silent -> LOST
      PROVISIONING: provisioned -> PROVISIONED, failed -> ERROR, silent -> LOST
      PROVISIONED: provision -> PROVISIONING, configure -> CONFIGURING, completed -> READY, failed -> ERROR, silent -> LOST
      CONFIGURING: completed -> READY, failed -> ERROR, silent -> LOST
      READY: reserved -> RESERVED
      ERROR: reserved -> RESERVED
      LOST: reserved -> RESERVED"
    `);
  });

  it("lets every state in which a deployment works on a node fail", () => {
    for (const state of [
      Node_State.RESERVED,
      Node_State.PROVISIONING,
      Node_State.PROVISIONED,
      Node_State.CONFIGURING,
    ]) {
      expect(nodeStateAfter(state, "failed")).toBe(Node_State.ERROR);
      expect(nodeStateAfter(state, "silent")).toBe(Node_State.LOST);
    }
  });

  it("takes a failed or lost node back", () => {
    expect(nodeStateAfter(Node_State.ERROR, "reserved")).toBe(Node_State.RESERVED);
    expect(nodeStateAfter(Node_State.LOST, "reserved")).toBe(Node_State.RESERVED);
  });
});
