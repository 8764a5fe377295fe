// `muster maintenance`, `protect` and `retire`: what an operator sets on nodes.
import { change } from "../change.ts";
import type { Operator } from "../client.ts";
import { eachNode } from "../each-node.ts";
import { RefusedError } from "../errors.ts";
import { clean } from "../format.ts";
import type { Io } from "../io.ts";
import { flagText } from "../words.ts";

export const switches = ["on", "off"] as const;
export type Switch = (typeof switches)[number];

type Flags = {
  maintenance?: boolean;
  maintenanceReason?: string;
  protected?: boolean;
  retired?: boolean;
};

export async function maintenance(
  operator: Operator,
  io: Io,
  nodes: string,
  to: Switch,
  reason: string[],
): Promise<number> {
  const maintenanceReason = reason.join(" ");
  if (to === "off" && maintenanceReason) throw new RefusedError("a reason belongs to `on`; nothing was done");
  const flags = { maintenance: to === "on", maintenanceReason };
  return set(operator, io, nodes, flags, ["maintenance", "maintenance_reason"]);
}

export async function protect(operator: Operator, io: Io, nodes: string, to: Switch): Promise<number> {
  return set(operator, io, nodes, { protected: to === "on" }, ["protected"]);
}

export async function retire(operator: Operator, io: Io, nodes: string, to: Switch): Promise<number> {
  return set(operator, io, nodes, { retired: to === "on" }, ["retired"]);
}

function set(operator: Operator, io: Io, selector: string, flags: Flags, paths: string[]): Promise<number> {
  return eachNode(operator, io, selector, async (name) => {
    const { node } = await change((requestId) =>
      operator.nodes.updateNode({ node: { name, ...flags }, updateMask: { paths }, requestId }),
    );
    io.out(`node/${name}: ${(node && clean(flagText(node))) || "nothing is set"}`);
  });
}
