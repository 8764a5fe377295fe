// The table at the end of a first light: node, disk layout, image digest, seconds per step. Pure.
import type { NodePlan, Plan, Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { stepSeconds } from "./seconds.ts";

export function summaryLines(plan: Plan, nodes: Node[], steps: Step[]): string[] {
  const facts = plan.nodes.map((planned) => {
    const node = nodes.find(({ name }) => name === planned.node);
    return [
      planned.node,
      node?.installed?.hostname ?? "-",
      planned.role,
      diskLayout(planned, node),
      (node?.installed?.imageDigest ?? "-").slice(0, 12),
    ];
  });
  return [
    ...table([["NODE", "HOST", "ROLE", "DISK LAYOUT", "IMAGE DIGEST"], ...facts]),
    "",
    ...table([["SECONDS", ...plan.nodes.map(({ node }) => node)], ...secondsRows(plan, steps)]),
  ];
}

/** "N1A+N1B, os raid1 [2/2] [UU], vg0, / ext4 3072 MiB, ..." */
function diskLayout({ disks }: NodePlan, node: Node | undefined): string {
  const lvSize = new Map((disks?.lvs ?? []).map((lv) => [`lv/${lv.vg}/${lv.name}`, lv.sizeBytes]));
  const volumes = (disks?.fss ?? []).map(({ device, type, mount }) => {
    const size = lvSize.get(device);
    return `${[mount, type].filter(Boolean).join(" ")}${size ? ` ${size >> 20n} MiB` : ""}`;
  });
  return [
    (disks?.disks ?? []).map(({ serial, wwn }) => serial || wwn).join("+"),
    ...(node?.installed?.arrays ?? []),
    ...(disks?.vgs ?? []).map(({ name }) => name),
    ...volumes,
  ].join(", ");
}

function secondsRows(plan: Plan, steps: Step[]): string[][] {
  const tasks = [...new Set(plan.steps.map(({ task }) => task))];
  return tasks.map((task) => [
    task,
    ...plan.nodes.map(({ node }) => {
      const step = steps.find((candidate) => candidate.node === node && candidate.task === task);
      return (step && stepSeconds(step)?.toFixed(1)) ?? "";
    }),
  ]);
}

function table(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
