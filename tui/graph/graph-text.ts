// A graph of tasks as lines: level by level, what each is and what it comes after. Pure.
import { clean, plural } from "../format.ts";
import { nodesText } from "../node-names.ts";
import { columns } from "../text-table.ts";
import type { TaskBox, TaskGraph } from "./task-graph.ts";

/** So many names are listed; more are counted. */
const listedNames = 4;
const listedRoles = 3;

export function graphLines({ cluster, graph, boxes, edges, steps }: TaskGraph): string[] {
  const tasks = boxes.filter(({ join }) => !join).length;
  const title = `Graph ${graph} of cluster ${cluster}: ${plural(tasks, "task")}, ${plural(steps, "step")}`;
  const before = Map.groupBy(edges, ({ to }) => to);
  const rows = [...boxes]
    .sort((a, b) => a.level - b.level)
    .map((box) => {
      const [own, others] = [false, true].map((cross) =>
        (before.get(box.task) ?? []).filter((edge) => edge.cross === cross).map(({ from }) => from),
      );
      const after = [own?.length && namesText(own), others?.length && `${namesText(others)} elsewhere`];
      return [
        `${box.level + 1}.`,
        box.task,
        rolesText(box),
        box.join ? "" : nodesText(box.nodes),
        after.some(Boolean) ? `after ${after.filter(Boolean).join("; ")}` : "",
        notesOf(box),
      ];
    });
  return [title, ...columns(rows)];
}

function rolesText({ join, roles }: TaskBox): string {
  if (join) return "all nodes";
  return roles.length > listedRoles ? plural(roles.length, "role") : roles.join(", ");
}

function namesText(names: string[]): string {
  if (names.length <= listedNames) return names.join(", ");
  return `${names.slice(0, listedNames).join(", ")} and ${names.length - listedNames} more`;
}

/** What is not usual about a task. */
export function notesOf({ nodes, leftOut, reasons, limit, held, conditional, join }: TaskBox): string {
  const which = leftOut === nodes.length ? "" : `${leftOut} of ${nodes.length} `;
  return [
    !join && leftOut && `${which}${reasons.map(clean).join("; ")}`,
    limit && `at most ${limit} at once`,
    held && "held",
    conditional && "conditional",
  ]
    .filter(Boolean)
    .join(", ");
}
