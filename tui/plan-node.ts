// One node of a plan as lines: its disks to scale, and what is destroyed, kept and created on them. Pure.
import type { NodePlan } from "../proto/gen/muster/v1/deployment_pb.ts";
import {
  DiskAction,
  type DiskPlan,
  type PlannedDisk,
  type PlannedPartition,
} from "../proto/gen/muster/v1/disk_plan_pb.ts";
import { wholeDiskOf } from "../proto/plan/whole-disk.ts";
import { formatBytes } from "../proto/render/bytes.ts";
import { deviceRows } from "../proto/render/device-rows.ts";
import { pictureOf } from "../proto/render/disk-segments.ts";
import { diskBars } from "../proto/render/disk-text.ts";
import { wrapText } from "../proto/render/text-columns.ts";
import { eraseWords, leftLine } from "./erase-text.ts";
import { clean } from "./format.ts";
import { columns, indent } from "./text-table.ts";

/** `tone` lets a screen colour what is lost; text output ignores it. */
export type PlanLine = { text: string; tone?: "heading" | "destroy" | "keep" | "warn" };

const partitionTypes: Record<string, string> = {
  ef02: "BIOS boot",
  ef00: "EFI system",
  fd00: "RAID member",
  "8e00": "LVM",
  "8200": "swap",
  "8300": "Linux",
  "8309": "LUKS",
  // In an msdos table.
  ef: "EFI system",
  fd: "RAID member",
  "8e": "LVM",
  "82": "swap",
  "83": "Linux",
  e8: "LUKS",
  "5": "extended",
};

/** What becomes of a node that is set free: its disks are emptied, and nothing is made. */
export function releasedLines(node: NodePlan): PlanLine[] {
  return [
    { text: `${node.node}  wiped and set free`, tone: "heading" },
    { text: `  erase ${eraseWords(node.erase)}` },
    ...section("destroyed", (node.disks?.disks ?? []).flatMap(destroyedLines), "destroy"),
    ...section("left as they are", node.left.map(leftLine), "keep"),
  ];
}

/** `stay` is why its disks stay as they are; undefined if they are written. */
export function nodeLines(node: NodePlan, stay: string | undefined, width: number): PlanLine[] {
  const plan = node.disks;
  const facts = [`role ${node.role}`, `host name ${node.hostname}`, node.scheme && `scheme ${node.scheme}`];
  const lines: PlanLine[] = [
    { text: `${node.node}  ${facts.filter(Boolean).join(", ")}`, tone: "heading" },
    ...(node.image ? [{ text: `  image ${node.image} sha256 ${node.imageDigest}` }] : []),
    ...node.further.map((one) => ({ text: `  image ${one.image} sha256 ${one.imageDigest}` })),
  ];
  if (!plan) return [...lines, { text: "  no disk is touched" }];
  if (stay) return [...lines, { text: `  its disks stay as they are: ${stay}` }];
  return [
    ...lines,
    ...pictureLines(plan, width),
    ...section("destroyed", plan.disks.flatMap(destroyedLines), "destroy"),
    ...section("kept", [...plan.disks.flatMap(keptLines), ...deviceLines(plan, node, "stays")], "keep"),
    ...section("created", deviceLines(plan, node, "made")),
    ...plan.warnings.flatMap((warning) => warningLines(clean(warning), width)),
  ];
}

function warningLines(warning: string, width: number): PlanLine[] {
  const lines = indent(wrapText(`warning: ${warning}`, width - 2, "  "));
  return lines.map((text) => ({ text, tone: "warn" }));
}

/** A title with what belongs to it further in; nothing if there is none. */
function section(title: string, lines: string[], tone?: PlanLine["tone"]): PlanLine[] {
  if (lines.length === 0) return [];
  return [{ text: `  ${title}` }, ...indent(lines, "    ").map((text): PlanLine => ({ text, tone }))];
}

function pictureLines(plan: DiskPlan, width: number): PlanLine[] {
  const bars = plan.disks.flatMap((disk) => diskBars(pictureOf(plan, disk), width - 2));
  return indent(bars).map((text) => ({ text }));
}

/** Everything that is on a disk now and goes. The disk is named by what stays the same between boots. */
function destroyedLines(disk: PlannedDisk): string[] {
  const losses = disk.destroys.length ? disk.destroys.map(clean) : ["nothing: the disk is empty"];
  return [diskName(disk), ...indent(losses)];
}

function keptLines(disk: PlannedDisk): string[] {
  return disk.keeps.length ? [diskName(disk), ...indent(disk.keeps.map(clean))] : [];
}

export function diskName(disk: PlannedDisk): string {
  const id = disk.serial ? `serial ${clean(disk.serial)}` : `wwn ${clean(disk.wwn)}`;
  const model = disk.model ? ` ${clean(disk.model)}` : "";
  return `disk ${id}${model}, ${formatBytes(disk.sizeBytes)}, now ${disk.lastName || "unnamed"}`;
}

/** The devices of a plan that are made, or that stay: their names, sizes, and what they are. */
export function deviceLines(plan: DiskPlan, { image, further }: NodePlan, which: "made" | "stays"): string[] {
  const wanted = ({ action }: { action: DiskAction }) => (action === DiskAction.KEEP) === (which === "stays");
  const rows: string[][] = [];
  const whole = wholeDiskOf(plan);
  if (whole && which === "made")
    rows.push([plan.rootDevice, formatBytes(whole.sizeBytes), `the whole disk from image ${image}`]);
  for (const disk of plan.disks)
    for (const part of disk.partitions.filter(wanted)) rows.push(partitionRow(disk, part));
  for (const { name, size, what, device } of deviceRows(plan).filter(wanted)) {
    const own = further.find((one) => one.device === device)?.image ?? (name === "fs /" ? image : "");
    rows.push([name, size, own && which === "made" ? `${what} from image ${own}` : what]);
  }
  return columns(rows);
}

function partitionRow(disk: PlannedDisk, part: PlannedPartition): string[] {
  const type = partitionTypes[part.typeCode.toLowerCase()] ?? part.typeCode;
  return [
    `partition/${disk.selector}/${disk.index}/${part.name}`,
    formatBytes(part.sizeBytes),
    `partition ${part.number} of ${clean(disk.serial || disk.wwn)}, ${type}`,
  ];
}
