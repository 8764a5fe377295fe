// The disks of many nodes: each node's to scale, and one table of what is destroyed where.
import { drawDisks } from "./disk-text.ts";
import { lossTable, type NodeDisks } from "./loss-table.ts";

/** One node is drawn alone. */
export function drawFleet(nodes: NodeDisks[], width = 80): string[] {
  const drawn = nodes.flatMap(({ node, disks }) => {
    const lines = disks ? drawDisks(disks, width) : ["no disk is touched"];
    return nodes.length > 1 ? [node, ...lines.map((line) => (line ? `  ${line}` : line)), ""] : lines;
  });
  return nodes.length > 1 ? [...drawn, ...lossTable(nodes)] : drawn;
}
