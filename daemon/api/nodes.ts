// NodeService.
import type { NodeService } from "../../proto/gen/muster/v1/node_pb.ts";
import { BootTarget, PowerAction } from "../../proto/gen/muster/v1/node_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { approve } from "../domain/join.ts";
import { isBusy } from "../domain/node.ts";
import { powerRead } from "../domain/report.ts";
import { type ApiContext, byName, notFound, refused } from "./context.ts";

export function nodeService({ engine, store, power }: ApiContext): Handlers<typeof NodeService> {
  const find = (name: string) => {
    const node = engine.state.nodes.get(name);
    if (!node) throw notFound("node", name);
    return node;
  };
  return {
    listNodes: async () => ({ nodes: byName(engine.state.nodes.values()), revision: store.revision }),
    getNode: async ({ name }) => ({ node: find(name) }),
    approveNode: async ({ name, code }) => {
      const fault = await engine.decide((decision) => approve(decision, find(name), code));
      if (fault) throw refused("NOT_WAITING", fault);
      return { node: find(name) };
    },
    setNodePower: async ({ name, action }) => {
      const node = find(name);
      if (!node.spec?.power) {
        throw refused(
          "NO_POWER_DRIVER",
          `${name} has no power driver: declare one in its manifest, or press its button`,
        );
      }
      if (isBusy(node.state) && action !== PowerAction.ON) {
        throw refused("NODE_BUSY", `a deployment is changing ${name}: stop it first`);
      }
      try {
        const driver = power(node.spec.power);
        if (action !== PowerAction.OFF) await driver.setBoot(node.bootTarget || BootTarget.RAMDISK);
        const state = await driver.set(action);
        await engine.decide((decision) => powerRead(decision, find(name), state));
        return { power: state };
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        throw new RpcError(codes.UNAVAILABLE, message, { reason: "POWER_FAILED", cause: error });
      }
    },
  };
}
