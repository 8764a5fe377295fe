// A plan as lines: what is destroyed, kept and created on every node, its tasks, then the order of the graph. Pure.
import { type NodePlan, type Plan, type PlannedStep, Purpose } from "../proto/gen/muster/v1/deployment_pb.ts";
import { isLeftOut } from "../proto/plan/skipped-steps.ts";
import { barLegend } from "../proto/render/disk-text.ts";
import { lossTable } from "../proto/render/loss-table.ts";
import { clean, plural } from "./format.ts";
import { fleetLines } from "./plan-fleet.ts";
import { diskName, nodeLines, type PlanLine, releasedLines } from "./plan-node.ts";
import { orderLines } from "./plan-order.ts";
import { leftOutLines, taskLines, termLines } from "./plan-tasks.ts";
import { indent } from "./text-table.ts";
import { isJoin } from "./words.ts";

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
  const stays = disksStay(plan);
  const lines: PlanLine[] = [{ text: `${titleOf(plan)}: ${sizeText(plan)}` }];
  if (release) {
    for (const node of plan.nodes) lines.push({ text: "" }, ...releasedLines(node));
  } else if (plan.nodes.every(({ disks }) => !disks)) {
    // Its tasks name their nodes.
    lines.push({ text: "No disk is touched." });
  } else if (pictures || plan.nodes.length <= drawnNodes) {
    if (writtenNodes(plan).length) lines.push({ text: `Disks before and after: ${barLegend}` });
    for (const node of plan.nodes) lines.push({ text: "" }, ...nodeLines(node, stays(node), width));
  } else {
    lines.push(...fleetLines(plan, stays, width));
  }
  lines.push(...lossTableLines(plan, width));
  lines.push(...taskLines(plan), ...leftOutLines(plan), ...termLines(plan));
  lines.push({ text: "" }, { text: "Order", tone: "heading" });
  lines.push(...indent(orderLines(plan.steps)).map((text) => ({ text })));
  lines.push({ text: "" }, { text: `Plan hash ${plan.hash}` });
  return lines;
}

function titleOf({ cluster, purpose, graph }: Plan): string {
  if (purpose === Purpose.RELEASE) return `Plan to release nodes of cluster ${cluster}`;
  const which = graph && graph !== "default" ? ` of graph ${graph}` : "";
  if (purpose === Purpose.CHECK)
    return `Plan of a check${which} of cluster ${cluster}, which changes nothing`;
  return `Plan${which} for cluster ${cluster}`;
}

/** "3 nodes, 21 steps, 4 of them unchanged, 12 left out"; barriers are no steps. */
export function sizeText({ nodes, steps }: Plan): string {
  const work = steps.filter((step) => !isJoin(step));
  const unchanged = work.filter(isUnchanged).length;
  const left = work.filter(({ skippedBecause }) => skippedBecause).length;
  const notes = [unchanged && `${unchanged} of them unchanged`, left && `${left} left out`];
  return [plural(nodes.length, "node"), plural(work.length, "step"), ...notes.filter(Boolean)].join(", ");
}

/** The nodes whose disks are written. */
export function writtenNodes(plan: Plan): NodePlan[] {
  const stays = disksStay(plan);
  return plan.nodes.filter((node) => node.disks && stays(node) === undefined);
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

/** Why the disks of a node stay as they are; undefined if they are wiped. */
function disksStay({ steps }: Plan): (node: NodePlan) => string | undefined {
  const wiping = Map.groupBy(
    steps.filter(({ task }) => task === "partition" || task === "wipe"),
    ({ node }) => node,
  );
  return ({ node }) => {
    const [first, ...others] = wiping.get(node) ?? [];
    if (!first) return "no step of this plan writes them";
    if (![first, ...others].every(isLeftOut)) return undefined;
    return first.skippedBecause || `unchanged since ${first.unchangedSince}`;
  };
}

/** The question before a deployment in short: every disk that is lost. */
export function lossLines(plan: Plan): string[] {
  return writtenNodes(plan).flatMap((node) =>
    (node.disks?.disks ?? []).map((disk) => {
      const losses = disk.destroys.map(clean).join("; ") || "nothing, it is empty";
      return `${node.node}: ${diskName(disk)}: loses ${losses.replace(/^nothing found$/, "nothing that was found on it")}`;
    }),
  );
}
