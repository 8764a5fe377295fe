// Names of many nodes in little room. Pure.
import { foldNodes } from "../proto/filter/node-list.ts";
import { plural } from "./format.ts";

const namedNodes = 8;
const foldedLength = 40;

/** A few by name, more as `n[1-20]`; where that is long too, how many. */
export function nodesText(nodes: readonly string[]): string {
  if (nodes.length <= namedNodes) return nodes.join(" ");
  const folded = foldNodes(nodes);
  return folded.length <= foldedLength
    ? `${plural(nodes.length, "node")} ${folded}`
    : plural(nodes.length, "node");
}
