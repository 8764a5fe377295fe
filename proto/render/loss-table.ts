// What is destroyed where, for a whole fleet: a row for each disk of each node.
import type { DiskPlan } from "../gen/muster/v1/disk_plan_pb.ts";
import { formatBytes } from "./bytes.ts";
import { clean } from "./clean.ts";
import { alignColumns, wrapText } from "./text-columns.ts";

export type NodeDisks = { node: string; disks?: DiskPlan | undefined };

const header = ["NODE", "DISK", "SERIAL", "SIZE", "DESTROYED", "STAYS"];
/** The columns before those that are wrapped. */
const facts = 4;
const gap = 2;
const leastRoom = 12;

/** Without the last column where nothing stays. What does not fit into `width` goes on in the lines below. */
export function lossTable(nodes: NodeDisks[], width = Number.POSITIVE_INFINITY): string[] {
  const rows = lossRows(nodes);
  const shown = rows.some((row) => row.at(-1)) ? header.length : header.length - 1;
  const cells = [header, ...rows].map((row) => row.slice(0, shown));
  const rooms = wrappedWidths(cells, width);
  return alignColumns(cells.flatMap((row) => linesOf(row, rooms)));
}

/** How wide DESTROYED and STAYS may be: a column that needs less than its half leaves the rest to the other. */
function wrappedWidths(cells: string[][], width: number): number[] {
  const needs = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const before = needs.slice(0, facts).reduce((sum, need) => sum + need + gap, 0);
  const wanted = needs.slice(facts);
  const room = Math.max(leastRoom * wanted.length, width - before - gap * (wanted.length - 1));
  if (wanted.length === 1) return [room];
  const [left = 0, right = 0] = wanted;
  const half = Math.floor(room / 2);
  if (left <= half) return [left, room - left];
  return right <= half ? [room - right, right] : [half, room - half];
}

function linesOf(row: string[], rooms: number[]): string[][] {
  const wrapped = row.slice(facts).map((cell, i) => wrapText(cell, rooms[i] ?? leastRoom));
  const height = Math.max(...wrapped.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) => [
    ...row.slice(0, facts).map((cell) => (line === 0 ? cell : "")),
    ...wrapped.map((lines) => lines[line] ?? ""),
  ]);
}

function lossRows(nodes: NodeDisks[]): string[][] {
  return nodes.flatMap(({ node, disks }) =>
    (disks?.disks ?? []).map((disk) =>
      [
        node,
        disk.lastName,
        disk.serial || disk.wwn,
        formatBytes(disk.sizeBytes),
        disk.destroys.join("; ") || "nothing",
        disk.keeps.join("; "),
      ].map(clean),
    ),
  );
}
