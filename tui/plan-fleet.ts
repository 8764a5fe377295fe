// The nodes of a large plan in short: a row for each, and what is made alike on many said once. Pure.
import type { NodePlan, Plan } from "../proto/gen/muster/v1/deployment_pb.ts";
import { wrapText } from "../proto/render/text-columns.ts";
import { clean, plural } from "./format.ts";
import { deviceLines, type PlanLine } from "./plan-node.ts";
import { indent, table } from "./text-table.ts";

/** `stays`: why the disks of a node stay as they are; undefined if they are written. */
export function fleetLines(
  { nodes }: Plan,
  stays: (node: NodePlan) => string | undefined,
  width: number,
): PlanLine[] {
  const rows = nodes.map((node) => {
    const disks = node.disks ? (stays(node) ?? "written") : "not touched";
    return [node.node, node.role, node.hostname, node.scheme, node.image, disks];
  });
  const images = new Set(
    nodes
      .flatMap((node) => [node, ...node.further])
      .filter(({ image }) => image)
      .map(({ image, imageDigest }) => `image ${image} sha256 ${imageDigest}`),
  );
  const written = nodes.filter((node) => node.disks && !stays(node));
  return [
    ...titled("Nodes", table(["NODE", "ROLE", "HOST NAME", "SCHEME", "IMAGE", "DISKS"], rows)),
    ...titled("Images", [...images]),
    ...groupLines("Kept", written, "stays", width),
    ...groupLines("Created", written, "made", width),
    ...warningLines(written, width),
  ];
}

function titled(title: string, lines: string[], tone?: PlanLine["tone"]): PlanLine[] {
  if (lines.length === 0) return [];
  const body = indent(lines).map((text): PlanLine => ({ text, tone }));
  return [{ text: "" }, { text: title, tone: "heading" }, ...body];
}

/** Nodes with the same hardware and scheme get the same devices: these are listed once. */
function groupLines(title: string, nodes: NodePlan[], which: "made" | "stays", width: number): PlanLine[] {
  const groups = Map.groupBy(nodes, (node) => withoutSerials(node, which).join("\n"));
  const lines = [...groups].flatMap(([devices, members]) =>
    devices ? [...namesOf(members, width - 2), ...indent(devices.split("\n"))] : [],
  );
  return titled(title, lines, which === "stays" ? "keep" : undefined);
}

function withoutSerials(node: NodePlan, which: "made" | "stays"): string[] {
  const { disks: plan } = node;
  if (!plan) return [];
  const disks = plan.disks.map((disk) => ({ ...disk, serial: `${disk.selector}/${disk.index}` }));
  return deviceLines({ ...plan, disks }, node, which);
}

function warningLines(nodes: NodePlan[], width: number): PlanLine[] {
  const warned = nodes.flatMap((node) =>
    (node.disks?.warnings ?? []).map((warning) => ({ node, warning: clean(warning) })),
  );
  const groups = Map.groupBy(warned, ({ warning }) => warning);
  const lines = [...groups].flatMap(([warning, members]) => {
    const names = namesOf(
      members.map(({ node }) => node),
      width - 4,
    );
    return [...wrapText(warning, width - 2, "  "), ...indent(names)];
  });
  return titled("Warnings", lines, "warn");
}

function namesOf(nodes: NodePlan[], width: number): string[] {
  return wrapText(
    `on ${plural(nodes.length, "node")}: ${nodes.map(({ node }) => node).join(" ")}`,
    width,
    "  ",
  );
}
