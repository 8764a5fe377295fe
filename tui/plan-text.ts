// A plan as lines: what is destroyed and created on every node, then the order of the graph. Pure.
import { type NodePlan, type Plan, type PlannedStep, Purpose } from "../proto/gen/muster/v1/deployment_pb.ts";
import type { DiskPlan, PlannedDisk, PlannedPartition } from "../proto/gen/muster/v1/disk_plan_pb.ts";
import { clean, formatBytes, plural } from "./format.ts";
import { columns, indent } from "./text-table.ts";

/** `tone` lets a screen colour what is lost; text output ignores it. */
export type PlanLine = { text: string; tone?: "heading" | "destroy" };

const partitionTypes: Record<string, string> = {
  ef02: "BIOS boot",
  ef00: "EFI system",
  fd00: "RAID member",
  "8e00": "LVM",
  "8200": "swap",
  "8300": "Linux",
};

export function planLines(plan: Plan): PlanLine[] {
  const release = plan.purpose === Purpose.RELEASE;
  const unchanged = plan.steps.filter(isUnchanged).length;
  const size = `${plural(plan.nodes.length, "node")}, ${plural(plan.steps.length, "step")}`;
  const what = release
    ? `Plan to release nodes of cluster ${plan.cluster}`
    : `Plan for cluster ${plan.cluster}`;
  const left = unchanged ? `, ${unchanged} of them unchanged` : "";
  const lines: PlanLine[] = [{ text: `${what}: ${size}${left}` }];
  for (const node of plan.nodes) {
    lines.push({ text: "" }, ...(release ? releasedLines(node) : nodeLines(node, keptSince(plan, node))));
  }
  lines.push({ text: "" }, { text: "Order", tone: "heading" });
  lines.push(...indent(orderLines(plan.steps)).map((text) => ({ text })));
  lines.push({ text: "" }, { text: `Plan hash ${plan.hash}` });
  return lines;
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

/** What becomes of a node that is set free: its disks are emptied, and nothing is made. */
function releasedLines(node: NodePlan): PlanLine[] {
  const lines: PlanLine[] = [
    { text: `${node.node}  wiped and set free`, tone: "heading" },
    { text: "  destroyed" },
  ];
  for (const text of indent((node.disks?.disks ?? []).flatMap(destroyedLines), "    "))
    lines.push({ text, tone: "destroy" });
  return lines;
}

function nodeLines(node: NodePlan, kept: string | undefined): PlanLine[] {
  const plan = node.disks;
  const facts = `role ${node.role}, host name ${node.hostname}, scheme ${node.scheme}`;
  const lines: PlanLine[] = [
    { text: `${node.node}  ${facts}`, tone: "heading" },
    { text: `  image ${node.image} sha256 ${node.imageDigest}` },
  ];
  if (!plan) return [...lines, { text: "  no disk is touched" }];
  if (kept) return [...lines, { text: `  its disks stay as they are: unchanged since ${kept}` }];
  lines.push({ text: "  destroyed" });
  for (const text of indent(plan.disks.flatMap(destroyedLines), "    "))
    lines.push({ text, tone: "destroy" });
  lines.push({ text: "  created" });
  for (const text of indent(createdLines(plan, node), "    ")) lines.push({ text });
  return lines;
}

/** Everything that is on a disk now. The disk is named by what stays the same between boots. */
function destroyedLines(disk: PlannedDisk): string[] {
  const losses = disk.destroys.length ? disk.destroys.map(clean) : ["nothing: the disk is empty"];
  return [diskName(disk), ...indent(losses)];
}

function diskName(disk: PlannedDisk): string {
  const id = disk.serial ? `serial ${clean(disk.serial)}` : `wwn ${clean(disk.wwn)}`;
  const model = disk.model ? ` ${clean(disk.model)}` : "";
  return `disk ${id}${model}, ${formatBytes(disk.sizeBytes)}, now ${disk.lastName || "unnamed"}`;
}

function createdLines(plan: DiskPlan, node: NodePlan): string[] {
  const rows: string[][] = [];
  for (const disk of plan.disks) {
    for (const part of disk.partitions) rows.push(partitionRow(disk, part));
  }
  for (const md of plan.mds) {
    rows.push([`md/${md.name}`, formatBytes(md.sizeBytes), `RAID${md.level} of ${md.devices.join(", ")}`]);
  }
  for (const vg of plan.vgs) {
    rows.push([`vg/${vg.name}`, formatBytes(vg.sizeBytes), `volume group on ${vg.devices.join(", ")}`]);
  }
  for (const lv of plan.lvs)
    rows.push([`lv/${lv.vg}/${lv.name}`, formatBytes(lv.sizeBytes), "logical volume"]);
  for (const fs of plan.fss) {
    const use = fs.mount || fs.type;
    const image = fs.mount === "/" ? ` from image ${node.image}` : "";
    const copies = fs.copies.length ? `, copied to ${fs.copies.join(", ")}` : "";
    rows.push([`fs ${use}`, "", `${fs.type} on ${fs.device}${copies}${image}`]);
  }
  return columns(rows);
}

function partitionRow(disk: PlannedDisk, part: PlannedPartition): string[] {
  const type = partitionTypes[part.typeCode.toLowerCase()] ?? part.typeCode;
  return [
    `partition/${disk.selector}/${disk.index}/${part.name}`,
    formatBytes(part.sizeBytes),
    `partition ${part.number} of ${disk.serial || disk.wwn}, ${type}`,
  ];
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

/** One line per wave and task: its nodes, and what they wait for; a node's own tasks without its name. */
function orderLines(steps: readonly PlannedStep[]): string[] {
  const rows: string[][] = [];
  for (const [wave, members] of waves(steps).entries()) {
    const groups = Map.groupBy(members, (step) => [step.task, requirements(step), noteOf(step)].join("\n"));
    for (const [key, group] of groups) {
      const [task = "", after = "", note = ""] = key.split("\n");
      const nodes = group.map((step) => step.node).join(" ");
      rows.push([`${wave + 1}.`, task, nodes, after && `after ${after}`, note]);
    }
  }
  return columns(rows);
}

function noteOf(step: PlannedStep): string {
  if (isUnchanged(step)) return `unchanged since ${step.unchangedSince}`;
  return step.hold ? "held: waits for a go" : "";
}

function requirements(step: PlannedStep): string {
  return step.requires
    .map((id) => (id.startsWith(`${step.node}/`) ? id.slice(step.node.length + 1) : id))
    .join(", ");
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
