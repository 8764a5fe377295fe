// A timeline as lines of a terminal: a row for each node, a letter for each task. Pure.
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { formatDuration } from "../format.ts";
import type { Bar, Timeline } from "./timeline.ts";

/** So many nodes are drawn, those that took longest; a picture shows all. */
const drawnNodes = 40;
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/** Where there is no letter left. */
const other = "#";
const failed = "!";
const running = "~";

export function ganttLines({ start, end, ofNode, steps }: Timeline, width: number): string[] {
  const nodes = [...new Set(steps.map(({ node }) => node))].filter((node) => ofNode.has(node));
  if (nodes.length === 0) return ["no step has begun"];
  const tasks = [...new Set(steps.filter(({ bars }) => bars.length).map(({ task }) => task))];
  const letterOf = new Map(tasks.map((task, i) => [task, letters[i] ?? other]));
  const drawn = new Set(
    nodes.length > drawnNodes
      ? [...nodes].sort((a, b) => lastEnd(ofNode.get(b)) - lastEnd(ofNode.get(a))).slice(0, drawnNodes)
      : nodes,
  );
  const nameWidth = Math.max(...[...drawn].map((name) => name.length));
  const room = Math.max(20, width - nameWidth - 4);
  const scale = room / Math.max(1, end - start);
  const rows = nodes
    .filter((node) => drawn.has(node))
    .map((node) => {
      const cells = Array.from({ length: room }, () => " ");
      for (const bar of ofNode.get(node) ?? []) {
        const from = Math.min(room - 1, Math.floor((bar.start - start) * scale));
        const to = Math.max(from + 1, Math.min(room, Math.round((bar.end - start) * scale)));
        cells.fill(letterOf.get(bar.task) ?? other, from, to);
        const mark = markOf(bar);
        if (mark) cells[to - 1] = mark;
      }
      return `${node.padEnd(nameWidth)} |${cells.join("")}|`;
    });
  const span = formatDuration(end - start);
  const lines = [
    ...rows,
    `${" ".repeat(nameWidth)} 0${span.padStart(room)}`,
    ...legendLines(tasks, letterOf, width),
  ];
  const hidden = nodes.length - drawn.size;
  return hidden
    ? [...lines, `and ${hidden} more nodes that ended earlier; --svg or --html draws all`]
    : lines;
}

function markOf({ state }: Bar): string {
  if (state === Step_State.FAILED || state === Step_State.CANCELLED) return failed;
  return state === Step_State.RUNNING || state === Step_State.UNKNOWN ? running : "";
}

function lastEnd(bars: readonly Bar[] = []): number {
  return bars.reduce((last, { end }) => Math.max(last, end), 0);
}

function legendLines(tasks: string[], letterOf: ReadonlyMap<string, string>, width: number): string[] {
  const words = tasks.slice(0, letters.length).map((task) => `${letterOf.get(task)} ${task}`);
  if (tasks.length > letters.length) words.push(`${other} others`);
  words.push(`${failed} failed`, `${running} runs`);
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    if (line && line.length + word.length + 2 > width) {
      lines.push(line);
      line = "";
    }
    line = line ? `${line}  ${word}` : word;
  }
  return [...lines, line];
}
