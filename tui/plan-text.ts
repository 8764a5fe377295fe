// A plan as lines: what is destroyed, kept and created on every node, then the order of the graph. Pure.
import { type NodePlan, type Plan, type PlannedStep, Purpose } from "../proto/gen/muster/v1/deployment_pb.ts";
import { barLegend } from "../proto/render/disk-text.ts";
import { lossTable } from "../proto/render/loss-table.ts";
import { clean, plural } from "./format.ts";
import { fleetLines } from "./plan-fleet.ts";
import { diskName, nodeLines, type PlanLine, releasedLines } from "./plan-node.ts";
import { columns, indent } from "./text-table.ts";

/** Up to this many nodes are shown one by one with their disks drawn; of more there are tables. */
export const drawnNodes = 4;

export type PlanView = {
  /** Characters in a line; only pictures and tables keep to it. */
  width?: number;
  /** Every node one by one with its disks drawn, however many there are. */
  pictures?: boolean;
};

export function planLines(plan: Plan, { width = 80, pictures = false }: PlanView = {}): PlanLine[] {
  const release = plan.purpose === Purpose.RELEASE;
  const unchanged = plan.steps.filter(isUnchanged).length;
  const size = `${plural(plan.nodes.length, "node")}, ${plural(plan.steps.length, "step")}`;
  const what = release
    ? `Plan to release nodes of cluster ${plan.cluster}`
    : `Plan for cluster ${plan.cluster}`;
  const left = unchanged ? `, ${unchanged} of them unchanged` : "";
  const lines: PlanLine[] = [{ text: `${what}: ${size}${left}` }];
  if (release) {
    for (const node of plan.nodes) lines.push({ text: "" }, ...releasedLines(node));
  } else if (pictures || plan.nodes.length <= drawnNodes) {
    if (writtenNodes(plan).length) lines.push({ text: `Disks before and after: ${barLegend}` });
    for (const node of plan.nodes) lines.push({ text: "" }, ...nodeLines(node, keptSince(plan, node), width));
  } else {
    lines.push(...fleetLines(plan, (node) => keptSince(plan, node), width));
  }
  lines.push(...lossTableLines(plan, width));
  lines.push({ text: "" }, { text: "Order", tone: "heading" });
  lines.push(...indent(orderLines(plan.steps)).map((text) => ({ text })));
  lines.push({ text: "" }, { text: `Plan hash ${plan.hash}` });
  return lines;
}

/** The nodes whose disks are written. */
export function writtenNodes(plan: Plan): NodePlan[] {
  return plan.nodes.filter((node) => node.disks && keptSince(plan, node) === undefined);
}

/** What is destroyed where, at a glance; of a single node it has been said. */
function lossTableLines(plan: Plan, width: number): PlanLine[] {
  const nodes = writtenNodes(plan);
  if (nodes.length === 0 || plan.nodes.length < 2) return [];
  const [header = "", ...rows] = indent(lossTable(nodes, width - 2));
  return [
    { text: "" },
    { text: "Destroyed", tone: "heading" },
    { text: header },
    ...rows.map((text): PlanLine => ({ text, tone: "destroy" })),
  ];
}

/** It has been done before in the same way, and is left out. */
export function isUnchanged({ unchangedSince }: PlannedStep): boolean {
  return unchangedSince !== "";
}

/** The deployment since which the disks of a node are as the plan wants them; undefined if they are wiped. */
function keptSince({ steps }: Plan, { node }: NodePlan): string | undefined {
  const wiping = steps.filter(
    (step) => step.node === node && (step.task === "partition" || step.task === "wipe"),
  );
  return wiping.length > 0 && wiping.every(isUnchanged) ? wiping[0]?.unchangedSince : undefined;
}

/** Steps in waves: all steps of a wave can run once the waves before have succeeded. */
export function waves(steps: readonly PlannedStep[]): PlannedStep[][] {
  const level = new Map<string, number>();
  const result: PlannedStep[][] = [];
  // The plan lists steps in an order in which they can run, so what a step requires is already known.
  for (const step of steps) {
    const wave = Math.max(0, ...step.requires.map((id) => (level.get(id) ?? -1) + 1));
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
function orderLines(steps: readonly PlannedStep[]): string[] {
  const rows: string[][] = [];
  for (const [wave, members] of waves(steps).entries()) {
    const groups = Map.groupBy(members, (step) => [step.task, requirements(step), noteOf(step)].join("\n"));
    for (const [key, group] of groups) {
      const [task = "", after = "", note = ""] = key.split("\n");
      const nodes =
        group.length > listedNames ? plural(group.length, "node") : group.map(({ node }) => node).join(" ");
      rows.push([`${wave + 1}.`, task, nodes, after && `after ${after}`, note]);
    }
  }
  return columns(rows);
}

function noteOf(step: PlannedStep): string {
  if (isUnchanged(step)) return `unchanged since ${step.unchangedSince}`;
  return step.hold ? "held: waits for a go" : "";
}

function requirements({ node, requires }: PlannedStep): string {
  const own = requires.filter((id) => id.startsWith(`${node}/`)).map((id) => id.slice(node.length + 1));
  const others = requires.filter((id) => !id.startsWith(`${node}/`));
  if (others.length <= listedNames) return [...own, ...others].join(", ");
  const tasks = Map.groupBy(others, (id) => id.slice(id.indexOf("/") + 1));
  const counted = [...tasks].map(([task, ids]) => `${task} of ${plural(ids.length, "node")}`);
  return [...own, ...counted].join(", ");
}

/** The question before a deployment in short: every disk that is lost. */
export function lossLines(plan: Plan): string[] {
  const wiped = plan.nodes.filter((node) => keptSince(plan, node) === undefined);
  return wiped.flatMap((node) =>
    (node.disks?.disks ?? []).map((disk) => {
      const losses = disk.destroys.map(clean).join("; ") || "nothing, it is empty";
      return `${node.node}: ${diskName(disk)}: loses ${losses.replace(/^nothing found$/, "nothing that was found on it")}`;
    }),
  );
}
