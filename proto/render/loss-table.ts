// What is destroyed where, for a whole fleet: a row for each disk of each node.
import type { DiskPlan } from "../gen/muster/v1/disk_plan_pb.ts";
import { bytesText } from "./bytes.ts";
import { alignColumns } from "./text-columns.ts";

export type NodeDisks = { node: string; disks?: DiskPlan | undefined };

const header = ["NODE", "DISK", "SERIAL", "SIZE", "DESTROYED", "STAYS"];

/** Without the last column where nothing stays. */
export function lossTable(nodes: NodeDisks[]): string[] {
  const rows = lossRows(nodes);
  const width = rows.some((row) => row.at(-1)) ? header.length : header.length - 1;
  return alignColumns([header, ...rows].map((row) => row.slice(0, width)));
}

function lossRows(nodes: NodeDisks[]): string[][] {
  return nodes.flatMap(({ node, disks }) =>
    (disks?.disks ?? []).map((disk) => [
      node,
      disk.lastName,
      disk.serial || disk.wwn,
      bytesText(disk.sizeBytes),
      disk.destroys.join("; ") || "nothing",
      disk.keeps.join("; "),
    ]),
  );
}
