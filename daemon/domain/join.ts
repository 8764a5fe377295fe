// Decisions about who a machine is and whether it may join.
import { create } from "@bufbuild/protobuf";
import type { Inventory } from "../../proto/gen/muster/v1/inventory_pb.ts";
import {
  BootTarget,
  Environment,
  type Fingerprint,
  type Node,
  Node_State,
  NodeSchema,
} from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Decision } from "./decision.ts";
import type { BootingMachine } from "./ports.ts";
import { put, type State } from "./state.ts";

/** What a machine that asks what to boot gets. Pure look-up; the engine records unknown machines. */
export function bootAnswer(state: State, machine: BootingMachine): "ramdisk" | "disk" | "unknown" {
  const node = findNode(state, { uuid: machine.uuid, macs: [machine.mac] });
  if (!node) return "unknown";
  return node.bootTarget === BootTarget.DISK ? "disk" : "ramdisk";
}

/** A machine that nobody declared has asked the network what to boot. */
export function discover(decision: Decision, machine: BootingMachine): void {
  if (findNode(decision.state, { uuid: machine.uuid, macs: [machine.mac] })) return;
  const name = `node-${machine.mac.replaceAll(":", "")}`;
  const fingerprint = { systemUuid: machine.uuid, macs: [machine.mac] };
  const node = create(NodeSchema, {
    name,
    state: Node_State.DISCOVERED,
    fingerprint,
    address: machine.address,
  });
  decision.change(put({ case: "node", value: node }));
  decision.event(Event_Severity.INFO, `node/${name}`, "DISCOVERED", `${machine.mac} booted from the network`);
}

export type JoinRequest = {
  fingerprint: Fingerprint;
  inventory: Inventory | undefined;
  /** sha256 of the public key, hexadecimal. */
  keyDigest: string;
};

export type JoinAnswer =
  | { outcome: "sign"; node: string }
  | { outcome: "wait"; node: string; code: string }
  | { outcome: "conflict"; node: string };

/** An agent asks to join with a key. */
export function join(decision: Decision, { fingerprint, inventory, keyDigest }: JoinRequest): JoinAnswer {
  const found = findNode(decision.state, { uuid: fingerprint.systemUuid, macs: fingerprint.macs });
  const node = found ?? newNode(fingerprint);
  if (node.keyDigest === keyDigest) return { outcome: "sign", node: node.name };
  const facts = { fingerprint, inventory: inventory ?? node.inventory };
  if (node.keyDigest) {
    // The ramdisk keeps nothing between boots: a node that is meant to be in it comes with a new key.
    if (node.online || node.bootTarget === BootTarget.DISK) {
      const message = `another machine, or another key, claims to be ${node.name} while it is in use`;
      decision.event(Event_Severity.WARNING, `node/${node.name}`, "KEY_CONFLICT", message);
      return { outcome: "conflict", node: node.name };
    }
    decision.node(node, { ...facts, keyDigest });
    return { outcome: "sign", node: node.name };
  }
  const code = approvalCode(keyDigest);
  if (node.pendingKeyDigest !== keyDigest) {
    decision.node(node, { ...facts, pendingKeyDigest: keyDigest, approvalCode: code }, "enrolled");
    decision.event(
      Event_Severity.INFO,
      `node/${node.name}`,
      "AWAITING_APPROVAL",
      `asks to join with code ${code}`,
    );
  }
  return { outcome: "wait", node: node.name, code };
}

/** The operator lets a node join. Says what is wrong, or nothing. */
export function approve(decision: Decision, node: Node, code: string): string | undefined {
  if (node.keyDigest && !node.pendingKeyDigest) return undefined;
  if (!node.pendingKeyDigest) return `${node.name} has not asked to join yet: switch it on and let it boot`;
  if (code && code !== node.approvalCode) {
    return `the code of ${node.name} is ${node.approvalCode}, not ${code}: compare it with the node's console`;
  }
  const keyDigest = node.pendingKeyDigest;
  decision.node(node, { keyDigest, pendingKeyDigest: "", approvalCode: "" }, "approved");
  decision.event(Event_Severity.INFO, `node/${node.name}`, "APPROVED", "may join");
  return undefined;
}

/** Eight characters in two groups: enough to compare by eye, on a console and on the operator's screen. */
export function approvalCode(keyDigest: string): string {
  return `${keyDigest.slice(0, 4)}-${keyDigest.slice(4, 8)}`.toUpperCase();
}

/** The UUID decides; MACs help where the firmware gives none, and for a machine that was declared by MAC. */
function findNode(state: State, { uuid, macs }: { uuid: string; macs: string[] }): Node | undefined {
  const byUuid = isUnique(uuid) ? state.nodeByUuid(uuid) : undefined;
  return byUuid ?? macs.map((mac) => state.nodeByMac(mac)).find((node) => node !== undefined);
}

/** Cheap boards have a UUID of all zeros, or of all ones. */
function isUnique(uuid: string): boolean {
  return /[1-9a-e]/.test(uuid);
}

function newNode(fingerprint: Fingerprint): Node {
  const id = fingerprint.macs[0]?.replaceAll(":", "") ?? fingerprint.systemUuid.slice(0, 12);
  return create(NodeSchema, {
    name: `node-${id}`,
    state: Node_State.DISCOVERED,
    fingerprint,
    environment: Environment.UNSPECIFIED,
  });
}
