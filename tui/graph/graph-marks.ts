// A graph of tasks in the words of Graphviz and Mermaid. Edges within a node are solid, those between nodes dashed. Pure.
import { clean } from "../format.ts";
import { notesOf } from "./graph-text.ts";
import type { TaskBox, TaskGraph } from "./task-graph.ts";

export function graphDot({ cluster, graph, boxes, edges }: TaskGraph): string[] {
  return [
    `digraph ${quote(`${cluster} ${graph}`)} {`,
    "  rankdir=LR;",
    '  node [shape=box, fontname="sans-serif"];',
    ...boxes.map((box) => {
      const look = [box.join && "shape=ellipse", isLeftOut(box) && "color=gray, fontcolor=gray"].filter(
        Boolean,
      );
      return `  ${quote(box.task)} [${[`label=${quote(labelOf(box).join("\n"))}`, ...look].join(", ")}];`;
    }),
    ...edges.map(
      ({ from, to, cross }) => `  ${quote(from)} -> ${quote(to)}${cross ? " [style=dashed]" : ""};`,
    ),
    "}",
  ];
}

export function graphMermaid({ boxes, edges }: TaskGraph): string[] {
  const ids = new Map(boxes.map(({ task }, i) => [task, `t${i}`]));
  return [
    "flowchart LR",
    ...boxes.map((box) => {
      const [open, close] = box.join ? ["([", "])"] : ["[", "]"];
      const label = labelOf(box).join("<br/>").replaceAll('"', "#quot;");
      return `  ${ids.get(box.task)}${open}"${label}"${close}${isLeftOut(box) ? ":::left" : ""}`;
    }),
    ...edges.map(({ from, to, cross }) => `  ${ids.get(from)} ${cross ? "-.->" : "-->"} ${ids.get(to)}`),
    "  classDef left fill:#f3f4f6,color:#6b7280",
  ];
}

/** None of its steps is done. */
export function isLeftOut({ join, leftOut, nodes }: TaskBox): boolean {
  return !join && leftOut === nodes.length;
}

/** What stands in a box: the task, its roles, what is not usual about it. */
export function labelOf(box: TaskBox): string[] {
  return [box.join ? box.task.slice(2) : box.task, box.roles.map(clean).join(", "), notesOf(box)].filter(
    Boolean,
  );
}

function quote(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
