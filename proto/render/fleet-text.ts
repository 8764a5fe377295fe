// The disks of many nodes: each node's to scale, and one table of what is destroyed where.
import { drawDisks } from "./disk-text.ts";
import { lossTable, type NodeDisks } from "./loss-table.ts";

const indent = "  ";

/** One node is drawn alone. */
export function drawFleet(nodes: NodeDisks[], width = 80): string[] {
  const alone = nodes.length === 1;
  const drawn = nodes.flatMap(({ node, disks }) => {
    const room = alone ? width : width - indent.length;
    const lines = disks ? drawDisks(disks, room) : ["no disk is touched"];
    return alone ? lines : [node, ...lines.map((line) => (line ? indent + line : line)), ""];
  });
  return alone ? drawn : [...drawn, ...lossTable(nodes, width)];
}
