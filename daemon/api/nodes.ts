// NodeService.
import {
  BootTarget,
  type Node,
  NodeSchema,
  NodeService,
  PowerAction,
} from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Decision } from "../domain/decision.ts";
import { approve } from "../domain/join.ts";
import { isBusy } from "../domain/node.ts";
import { nodeFieldsOf } from "../domain/node-choice.ts";
import { powerRead } from "../domain/power.ts";
import { usersOf } from "../domain/removal.ts";
import { schedule, stirNode } from "../domain/schedule.ts";
import type { State } from "../domain/state.ts";
import { type ApiContext, byName, checkEtag, invalidField, notFound, refused } from "./context.ts";
import { applyMask } from "./field-mask.ts";
import type { Mutations } from "./mutations.ts";
import { pageOf } from "./pages.ts";

/** What an operator may set; everything else of a node has another source. */
const settable = ["maintenance", "maintenance_reason", "protected", "retired"] as const;

export function nodeService(context: ApiContext, mutations: Mutations): Handlers<typeof NodeService> {
  const { engine, store } = context;
  const { method } = NodeService;
  return {
    listNodes: async (request) => {
      const { items, nextPageToken } = await pageOf(request, {
        method: method.listNodes,
        schema: NodeSchema,
        fields: nodeFieldsOf(engine.state),
        items: byName(engine.state.nodes.values()),
        key: ({ name }) => name,
      });
      return { nodes: items, revision: store.revision, nextPageToken };
    },
    getNode: async ({ name }) => ({ node: find(engine.state, name) }),
    updateNode: async (request) => {
      const wanted = request.node;
      if (!wanted?.name) throw invalidField("INVALID_REQUEST", "node.name", "it is missing");
      const fields = applyMask(NodeSchema, wanted, request.updateMask, settable);
      return mutations.decide(method.updateNode, request, (decision) => {
        const node = find(decision.state, wanted.name);
        checkEtag(request.etag, `node ${node.name}`, node);
        if (request.validateOnly) return { node: { ...node, ...fields } };
        const after = decision.node(node, fields);
        if (after !== node) {
          const told = Object.entries(fields).map(([name, value]) => `${name} ${value || '""'}`);
          decision.event(Event_Severity.INFO, `node/${node.name}`, "NODE_UPDATED", told.join(", "));
          stirNode(decision, after);
          schedule(decision);
        }
        return { node: find(decision.state, node.name) };
      });
    },
    approveNode: (request) =>
      mutations.decide(method.approveNode, request, (decision) => {
        const node = find(decision.state, request.name);
        checkEtag(request.etag, `node ${node.name}`, node);
        if (node.pendingKeyDigest && request.code && request.code !== node.approvalCode) {
          const description = `the code of ${node.name} is ${node.approvalCode}, not ${request.code}: compare it with the node's console`;
          throw invalidField("WRONG_CODE", "code", description);
        }
        const fault = approve(decision, node, request.code);
        if (fault) throw refused("NOT_WAITING", fault);
        return { node: find(decision.state, node.name) };
      }),
    setNodePower: (request) =>
      mutations.perform(method.setNodePower, request, async () => {
        const power = await switchPower(context, find(engine.state, request.name), request.action);
        return (decision) => {
          const node = decision.state.nodes.get(request.name);
          if (node) powerRead(decision, node, power);
          return { power };
        };
      }),
    deleteNode: (request) =>
      mutations.decide(method.deleteNode, request, (decision) => {
        const node = find(decision.state, request.name);
        checkEtag(request.etag, `node ${node.name}`, node);
        if (isBusy(node.state)) throw busy(node);
        const users = usersOf(decision.state, `node/${node.name}`);
        if (users.length)
          throw refused("IN_USE", `${node.name} is named by ${users.join(", ")}: take it out there first`);
        if (!request.validateOnly) forget(decision, node);
        return {};
      }),
  };
}

function find(state: State, name: string): Node {
  const node = state.nodes.get(name);
  if (!node) throw notFound("node", name);
  return node;
}

/** The node, and what has been done on it. Without its key's digest its certificate is worth nothing. */
function forget(decision: Decision, { name }: Node): void {
  for (const record of [...(decision.state.taskRecords.get(name)?.values() ?? [])])
    decision.change({ delete: `taskRecord/${record.name}` });
  decision.change({ delete: `node/${name}` });
  decision.event(Event_Severity.INFO, `node/${name}`, "DELETED", "forgotten by the operator");
}

function busy({ name }: Node): RpcError {
  return refused("BUSY", `a deployment is changing ${name}: wait for it or stop it first`);
}

async function switchPower({ power }: ApiContext, node: Node, action: PowerAction) {
  if (!node.spec?.power) {
    const remedy = "declare one in its manifest, or press its button";
    throw refused("NO_POWER_DRIVER", `${node.name} has no power driver: ${remedy}`);
  }
  if (isBusy(node.state) && action !== PowerAction.ON) throw busy(node);
  try {
    const driver = power(node.spec.power);
    if (action !== PowerAction.OFF) await driver.setBoot(node.bootTarget || BootTarget.RAMDISK);
    return await driver.set(action);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new RpcError(codes.UNAVAILABLE, message, { reason: "POWER_DRIVER", cause: error });
  }
}
