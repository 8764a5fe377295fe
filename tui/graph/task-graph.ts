// A plan's steps as the graph of its tasks: a box for each task or join, an edge where a step of one requires a step of
// the other. Pure.
import type { Plan, PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { isJoin } from "../words.ts";

export type TaskBox = {
  task: string;
  /** A point of all nodes, at which nothing is done. */
  join: boolean;
  /** `every role` if there are no others. */
  roles: string[];
  nodes: string[];
  /** Such as shell; empty if none of its steps is done. */
  action: string;
  /** Steps that are left out, and why, each reason once. */
  leftOut: number;
  reasons: string[];
  /** How many at once; 0 is any number. */
  limit: number;
  held: boolean;
  conditional: boolean;
  /** From 0: no box has an edge to one of its own or a lower level, unless tasks of different roles wait crosswise. */
  level: number;
};

/** `cross`: between nodes; otherwise on the same one. Both may be: there are two edges then. */
export type TaskEdge = { from: string; to: string; cross: boolean };

export type TaskGraph = {
  cluster: string;
  graph: string;
  boxes: TaskBox[];
  edges: TaskEdge[];
  steps: number;
};

export function taskGraph(plan: Plan): TaskGraph {
  const roleOf = new Map(plan.nodes.map(({ node, role }) => [node, role]));
  const stepOf = new Map(plan.steps.map((step) => [step.id, step]));
  const boxes = [...Map.groupBy(plan.steps, nameOf)].map(([name, steps]) => boxOf(name, steps, roleOf));
  const every = new Set(roleOf.values()).size;
  for (const box of boxes) if (every > 1 && box.roles.length === every) box.roles = ["every role"];
  const edges = new Map<string, TaskEdge>();
  for (const step of plan.steps) {
    for (const id of ownRequirements(step, stepOf)) {
      const required = stepOf.get(id);
      if (!required) continue;
      const cross = required.node !== step.node;
      const [from, to] = [nameOf(required), nameOf(step)];
      // Others of the same task, as in batches: no edge from a box to itself.
      if (from !== to) edges.set(`${from} ${to} ${cross}`, { from, to, cross });
    }
  }
  setLevels(boxes, [...edges.values()]);
  return {
    cluster: plan.cluster,
    graph: plan.graph || "default",
    boxes,
    edges: [...edges.values()],
    steps: plan.steps.filter((step) => !isJoin(step)).length,
  };
}

/** Without what something else that it requires requires as well, such as the reboot before every task. */
function ownRequirements({ requires }: PlannedStep, stepOf: ReadonlyMap<string, PlannedStep>): string[] {
  const implied = new Set(requires.flatMap((id) => stepOf.get(id)?.requires ?? []));
  return requires.filter((id) => !implied.has(id));
}

/** Tasks have no underscore. */
function nameOf(step: PlannedStep): string {
  return isJoin(step) ? step.id : step.task;
}

function boxOf(task: string, steps: PlannedStep[], roleOf: ReadonlyMap<string, string>): TaskBox {
  const [first] = steps;
  const left = steps.filter(isLeftOut);
  return {
    task,
    join: first !== undefined && isJoin(first),
    roles: [...new Set(steps.flatMap(({ node }) => roleOf.get(node) ?? []))],
    nodes: steps.map(({ node }) => node),
    action: steps.find(({ action }) => action?.kind.case)?.action?.kind.case ?? "",
    leftOut: left.length,
    reasons: [
      ...new Set(
        left.map(({ unchangedSince, skippedBecause }) =>
          unchangedSince ? `unchanged since ${unchangedSince}` : skippedBecause,
        ),
      ),
    ],
    limit: steps.reduce((high, { limit }) => Math.max(high, limit), 0),
    held: steps.some(({ hold }) => hold),
    conditional: steps.some(({ condition }) => condition !== ""),
    level: 0,
  };
}

/** The longest way to each box. An edge that leads back to where it came from counts for nothing. */
function setLevels(boxes: TaskBox[], edges: TaskEdge[]): void {
  const byName = new Map(boxes.map((box) => [box.task, box]));
  const before = Map.groupBy(edges, ({ to }) => to);
  const settled = new Set<string>();
  const underway = new Set<string>();
  const settle = (name: string): number => {
    const box = byName.get(name);
    if (!box || settled.has(name)) return box?.level ?? 0;
    underway.add(name);
    for (const { from } of before.get(name) ?? []) {
      if (!underway.has(from)) box.level = Math.max(box.level, settle(from) + 1);
    }
    underway.delete(name);
    settled.add(name);
    return box.level;
  };
  for (const { task } of boxes) settle(task);
}
