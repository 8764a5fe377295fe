// Where the boxes of a graph stand in a picture: levels from left to right, the boxes of each so ordered and placed that
// edges are short. An edge over several levels goes through a gap in each. Pure; in pixels.
import { labelOf } from "./graph-marks.ts";
import type { TaskBox, TaskEdge, TaskGraph } from "./task-graph.ts";

/** Of a letter of the heading, which is the widest. */
const letter = 7.6;
export const lineHeight = 16;
export const padding = 10;
const rowGap = 16;
const trackHeight = 4;
const trackGap = 6;
const columnGap = 60;
export const margin = 20;
const headHeight = 44;
const longestLine = 40;
/** How often the boxes are ordered by their neighbours; after a few times little changes. */
const sweeps = 8;

export type Placed = { lines: string[]; x: number; y: number; width: number; height: number; box?: TaskBox };
/** An edge with all that it goes through, from box to box. */
export type Way = { edge: TaskEdge; stops: Placed[] };
export type Layout = { boxes: Placed[]; ways: Way[]; width: number; height: number };

/** A box, or a gap that edges of one source share. */
type Slot = { key: string; level: number; box?: TaskBox };

export function layoutOf({ boxes, edges }: TaskGraph): Layout {
  const slots = new Map<string, Slot>(
    boxes.map((box) => [box.task, { key: box.task, level: box.level, box }]),
  );
  const ways = edges.map((edge) => ({ edge, keys: keysOf(edge, slots) }));
  const columns: Slot[][] = Array.from(
    { length: Math.max(0, ...boxes.map(({ level }) => level + 1)) },
    () => [],
  );
  for (const slot of slots.values()) columns[slot.level]?.push(slot);
  const { before, after } = linksOf(ways.map(({ keys }) => keys));
  orderColumns(columns, before, after);
  const placed = place(columns, before);
  const all = [...placed.values()];
  return {
    boxes: all.filter(({ box }) => box),
    ways: ways.map(({ edge, keys }) => ({ edge, stops: keys.flatMap((key) => placed.get(key) ?? []) })),
    width: all.reduce((right, { x, width }) => Math.max(right, x + width), 300) + margin,
    height: all.reduce((bottom, { y, height }) => Math.max(bottom, y + height), headHeight) + margin,
  };
}

/** What an edge goes through; adds the gaps. */
function keysOf({ from, to, cross }: TaskEdge, slots: Map<string, Slot>): string[] {
  const [first, last] = [slots.get(from)?.level ?? 0, slots.get(to)?.level ?? 0];
  const gaps: string[] = [];
  for (let level = first + 1; level < last; level++) {
    const key = `${from} ${cross} ${level}`;
    slots.set(key, { key, level });
    gaps.push(key);
  }
  return [from, ...gaps, to];
}

type Links = Map<string, string[]>;

function linksOf(ways: string[][]): { before: Links; after: Links } {
  const pairs = new Map<string, [string, string]>();
  for (const keys of ways) {
    for (const [i, key] of keys.slice(1).entries()) {
      const from = keys[i] ?? "";
      pairs.set(`${from}\n${key}`, [from, key]);
    }
  }
  const by = (side: 0 | 1): Links =>
    new Map(
      [...Map.groupBy(pairs.values(), (pair) => pair[side])].map(([key, own]) => [
        key,
        own.map((pair) => pair[1 - side] ?? ""),
      ]),
    );
  return { before: by(1), after: by(0) };
}

/** By turns from the left and from the right, each slot goes to where those it is tied to are on average. */
function orderColumns(columns: Slot[][], before: Links, after: Links): void {
  const places = new Map<string, number>();
  const keepPlaces = (column: Slot[]) => {
    for (const [i, { key }] of column.entries()) places.set(key, i / column.length);
  };
  for (const column of columns) keepPlaces(column);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const back = sweep % 2 === 1;
    for (const column of back ? columns.toReversed() : columns) {
      const targets = new Map<Slot, number>();
      for (const slot of column) {
        const ties = ((back ? after : before).get(slot.key) ?? []).flatMap((tie) => places.get(tie) ?? []);
        targets.set(slot, average(ties) ?? places.get(slot.key) ?? 0);
      }
      column.sort((a, b) => (targets.get(a) ?? 0) - (targets.get(b) ?? 0));
      keepPlaces(column);
    }
  }
}

/** Each as high as those before it on average, as far as its neighbours leave room. */
function place(columns: Slot[][], before: Links): Map<string, Placed> {
  const placed = new Map<string, Placed>();
  let x = margin;
  for (const column of columns) {
    const drawn = column.map((slot) => ({ slot, ...sizeOf(slot), y: 0, wanted: headHeight }));
    const width = Math.max(0, ...drawn.map((one) => one.width));
    let top = Number.NEGATIVE_INFINITY;
    for (const one of drawn) {
      const middles = (before.get(one.slot.key) ?? []).flatMap((key) => middleOf(placed.get(key)) ?? []);
      const middle = average(middles);
      if (middle !== undefined) one.wanted = middle - one.height / 2;
      one.y = Math.max(top, one.wanted);
      top = one.y + one.height + (one.slot.box ? rowGap : trackGap);
    }
    // Where there was no room, all below have been pushed down: as much is given back above.
    const pushed = average(drawn.map(({ y, wanted }) => y - wanted)) ?? 0;
    const shift = Math.max(-pushed, headHeight - (drawn[0]?.y ?? headHeight));
    for (const { slot, lines, height, y, ...own } of drawn) {
      // A gap is as wide as its column, so that what goes through it does not cut its neighbours.
      placed.set(slot.key, {
        lines,
        height,
        width: slot.box ? own.width : width,
        x,
        y: y + shift,
        box: slot.box,
      });
    }
    x += width + columnGap;
  }
  return placed;
}

function sizeOf({ box }: Slot): { lines: string[]; width: number; height: number } {
  if (!box) return { lines: [], width: 0, height: trackHeight };
  const lines = labelOf(box).map((line) =>
    line.length > longestLine ? `${line.slice(0, longestLine - 1)}…` : line,
  );
  const width = Math.max(...lines.map((line) => line.length)) * letter + 2 * padding;
  return { lines, width, height: lines.length * lineHeight + padding };
}

function middleOf(placed: Placed | undefined): number | undefined {
  return placed && placed.y + placed.height / 2;
}

function average(values: number[]): number | undefined {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : undefined;
}
