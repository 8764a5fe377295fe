import { create } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { BootTarget, FingerprintSchema, Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { Decision } from "./decision.ts";
import { approvalCode, approve, bootAnswer, discover, join } from "./join.ts";
import { put, State } from "./state.ts";

const mac = "52:54:00:00:00:01";
const uuid = "11111111-2222-3333-4444-555555555555";
const fingerprint = create(FingerprintSchema, { systemUuid: uuid, macs: [mac] });
const machine = { mac, uuid, platform: "pcbios", address: "10.0.0.9" };

let decision: Decision;
beforeEach(() => {
  decision = new Decision(new State(), 0, 1n);
});

function declare(fields: Parameters<typeof create<typeof NodeSchema>>[1]) {
  const node = create(NodeSchema, fields);
  decision.change(put({ case: "node", value: node }));
}
const onlyNode = () => {
  const [node, ...rest] = decision.state.nodes.values();
  if (!node || rest.length) throw new Error(`${rest.length + (node ? 1 : 0)} nodes`);
  return node;
};
const ask = (keyDigest: string) => join(decision, { fingerprint, inventory: undefined, keyDigest });
const key = (letter: string) => letter.repeat(64);

describe("a machine that joins", () => {
  it("is discovered once by its first network boot", () => {
    expect(bootAnswer(decision.state, machine)).toBe("unknown");
    discover(decision, machine);
    discover(decision, machine);
    expect(onlyNode()).toMatchObject({ name: "node-525400000001", state: Node_State.DISCOVERED });
    expect(bootAnswer(decision.state, machine)).toBe("ramdisk");
  });

  it("is not taken for another board whose UUID is as empty as its own", () => {
    const zero = "00000000-0000-0000-0000-000000000000";
    discover(decision, { ...machine, uuid: zero });
    discover(decision, { ...machine, uuid: zero, mac: "52:54:00:00:00:02" });
    expect([...decision.state.nodes.keys()]).toEqual(["node-525400000001", "node-525400000002"]);
  });

  it("gets the name that its manifest gave to its MAC", () => {
    declare({ name: "n1", state: Node_State.DISCOVERED, spec: { name: "n1", macs: [mac] } });
    expect(ask(key("a"))).toEqual({ outcome: "wait", node: "n1", code: "AAAA-AAAA" });
  });

  it("waits until the operator approves, and is then signed", () => {
    expect(ask(key("a"))).toMatchObject({ outcome: "wait", code: approvalCode(key("a")) });
    expect(onlyNode().state).toBe(Node_State.AWAITING_APPROVAL);
    expect(approve(decision, onlyNode(), "")).toBeUndefined();
    expect(onlyNode().state).toBe(Node_State.AVAILABLE);
    expect(ask(key("a"))).toMatchObject({ outcome: "sign" });
  });

  it("is not approved with another machine's code", () => {
    ask(key("a"));
    expect(approve(decision, onlyNode(), "BBBB-BBBB")).toContain("AAAA-AAAA");
    expect(onlyNode().state).toBe(Node_State.AWAITING_APPROVAL);
  });

  it("cannot take the approval of another key by asking after it", () => {
    ask(key("a"));
    approve(decision, onlyNode(), "");
    decision.node(onlyNode(), { online: true });
    expect(ask(key("b"))).toMatchObject({ outcome: "conflict" });
    expect(onlyNode().keyDigest).toBe(key("a"));
  });

  it("may come with a new key while it is meant to be in the ramdisk and is not connected", () => {
    ask(key("a"));
    approve(decision, onlyNode(), "");
    expect(ask(key("b"))).toMatchObject({ outcome: "sign" });
    expect(onlyNode().keyDigest).toBe(key("b"));
  });

  it("may not when its disk has the key", () => {
    ask(key("a"));
    approve(decision, onlyNode(), "");
    decision.node(onlyNode(), { bootTarget: BootTarget.DISK });
    expect(ask(key("b"))).toMatchObject({ outcome: "conflict" });
    expect(bootAnswer(decision.state, machine)).toBe("disk");
  });

  it("cannot be approved before it has asked", () => {
    declare({ name: "n1", state: Node_State.DISCOVERED });
    expect(approve(decision, onlyNode(), "")).toContain("has not asked to join yet");
  });
});
