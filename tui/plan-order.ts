// The order of a plan's graph as lines: waves of steps, and the barriers at which steps of several nodes come
// together. Pure.
import type { PlannedStep } from "../proto/gen/muster/v1/deployment_pb.ts";
import { plural } from "./format.ts";
import { columns } from "./text-table.ts";
import { isJoin } from "./words.ts";

/** Steps in waves: all steps of a wave can run once the waves before have succeeded. */
export function waves(steps: readonly PlannedStep[]): PlannedStep[][] {
  const level = new Map<string, number>();
  const result: PlannedStep[][] = [];
  // The plan lists steps in an order in which they can run, so what a step requires is already known.
  for (const step of steps) {
    let wave = 0;
    for (const id of step.requires) wave = Math.max(wave, (level.get(id) ?? -1) + 1);
    level.set(step.id, wave);
    const members = result[wave] ?? [];
    members.push(step);
    result[wave] = members;
  }
  return result;
}

/** So many names of nodes or steps are listed; more are counted. */
const listedNames = 8;

/** One line per wave and task: its nodes, and what they wait for; a node's own tasks without its name. */
export function orderLines(steps: readonly PlannedStep[]): string[] {
  const rows: string[][] = [];
  // What is left out takes no turn, and nothing waits for it.
  const taken = steps.filter(({ skippedBecause }) => !skippedBecause);
  const ids = new Set(taken.map(({ id }) => id));
  for (const [wave, members] of waves(taken).entries()) {
    const [joins, work] = [members.filter(isJoin), members.filter((step) => !isJoin(step))];
    const groups = Map.groupBy(work, (step) => [step.task, requirements(step, ids), noteOf(step)].join("\n"));
    for (const [key, group] of groups) {
      const [task = "", after = "", note = ""] = key.split("\n");
      const nodes =
        group.length > listedNames ? plural(group.length, "node") : group.map(({ node }) => node).join(" ");
      rows.push([`${wave + 1}.`, task, nodes, after && `after ${after}`, note]);
    }
    for (const join of joins) rows.push([`${wave + 1}.`, `-- ${join.task}`, "", joinText(join, ids), ""]);
  }
  return columns(rows);
}

function noteOf(step: PlannedStep): string {
  const notes = [
    step.unchangedSince && `unchanged since ${step.unchangedSince}`,
    step.hold && "held: waits for a go",
    step.limit && `at most ${step.limit} at once`,
  ];
  return notes.filter(Boolean).join(", ");
}

function joinText(step: PlannedStep, ids: ReadonlySet<string>): string {
  const need = step.action?.kind.case === "join" ? step.action.kind.value.need : 0;
  const waited = step.requires.filter((id) => ids.has(id)).length;
  // What is left out counts as done.
  const more = need && need - (step.requires.length - waited);
  if (waited === 0 || more < 0 || (need > 0 && more === 0)) return "after nothing: what it needs is left out";
  return `after ${more && more < waited ? more : "all"} of: ${requirements(step, ids)}`;
}

function requirements({ node, requires }: PlannedStep, ids: ReadonlySet<string>): string {
  const wanted = requires.filter((id) => ids.has(id));
  const own = wanted.filter((id) => id.startsWith(`${node}/`)).map((id) => id.slice(node.length + 1));
  const others = wanted.filter((id) => !id.startsWith(`${node}/`));
  if (others.length <= listedNames) return [...own, ...others.map(stepName)].join(", ");
  const tasks = Map.groupBy(others, (id) => id.slice(id.indexOf("/") + 1));
  const counted = [...tasks].map(([task, members]) => {
    const [first = ""] = members;
    return members.length === 1 ? stepName(first) : `${task} of ${plural(members.length, "node")}`;
  });
  return [...own, ...counted].join(", ");
}

/** `NODE/TASK`, and a barrier by its name. */
function stepName(id: string): string {
  const [node = "", task = ""] = id.split("/");
  return isJoin({ node }) ? `-- ${task}` : id;
}
