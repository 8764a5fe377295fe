// The disks of a plan to scale, in plain text: each disk before and after, and what it means in numbers.
import { DiskAction, type DiskPlan } from "../gen/muster/v1/disk_plan_pb.ts";
import { formatBytes } from "./bytes.ts";
import { clean } from "./clean.ts";
import { deviceRows } from "./device-rows.ts";
import { type DiskPicture, type Fate, pictureOf, type Segment } from "./disk-segments.ts";
import { alignColumns, wrapText } from "./text-columns.ts";

const fill: Record<Fate, string> = { free: " ", kept: "=", destroyed: "x", new: "+" };
const words: Record<Fate, string> = { free: "", kept: "stays", destroyed: "destroyed", new: "new" };

/** `width` is that of the terminal. */
export function drawDisks(plan: DiskPlan, width = 80): string[] {
  const lines = plan.disks.flatMap((disk) => [...drawDisk(pictureOf(plan, disk), width), ""]);
  const above = devicesAbove(plan);
  const warnings = plan.warnings.flatMap((warning) => wrapText(clean(`warning: ${warning}`), width, "  "));
  return [
    ...lines,
    ...(above.length ? ["on them", ...above.map((line) => `  ${line}`), ""] : []),
    ...warnings,
    barLegend,
  ];
}

function drawDisk(picture: DiskPicture, width: number): string[] {
  const rows = (when: string, segments: Segment[]) =>
    segments
      .filter(({ fate }) => fate !== "free")
      .map(({ label, size, fate }) => [when, label, formatBytes(size), words[fate]]);
  const all = [...rows("before", picture.before), ...rows("after", picture.after)];
  return [...diskBars(picture, width), ...alignColumns(all).map((line) => `  ${line}`)];
}

/** What the signs in the bars mean. */
export const barLegend = `${fill.destroyed} destroyed   ${fill.kept} stays   ${fill.new} new`;

/** A disk's name, and below it what it was and will be, to scale. */
export function diskBars({ title, size, before, after }: DiskPicture, width: number): string[] {
  const room = Math.max(20, width - "  before ".length);
  return [
    ...wrapText(`${title}, ${formatBytes(size)}`, width, "  "),
    `  before ${bar(before, size, room)}`,
    `  after  ${bar(after, size, room)}`,
  ];
}

/** One cell at least for each segment, the rest to scale; a name where it has room. */
function bar(segments: Segment[], size: bigint, width: number): string {
  if (segments.length === 0) return `|${" ".repeat(Math.max(0, width - 2))}|`;
  const cells = Math.max(segments.length, width - segments.length - 1);
  const widths = scale(
    segments.map((segment) => segment.size),
    size,
    cells,
  );
  return `|${segments.map((segment, i) => cell(segment, widths[i] ?? 1)).join("|")}|`;
}

function cell({ label, fate }: Segment, width: number): string {
  const sign = fill[fate];
  const [name = ""] = label.split(" ");
  const text = label.length + 2 <= width ? ` ${label} ` : name.length <= width ? name : "";
  const left = Math.floor((width - text.length) / 2);
  return sign.repeat(left) + text + sign.repeat(width - left - text.length);
}

/** Whole cells that add up: each gets one, and those with the largest claim to more get the others. */
function scale(sizes: bigint[], whole: bigint, cells: number): number[] {
  const exact = sizes.map((size) => (whole > 0n ? (Number(size) / Number(whole)) * cells : 0));
  const widths = exact.map((share) => Math.max(1, Math.floor(share)));
  let left = cells - widths.reduce((sum, width) => sum + width, 0);
  while (left !== 0) {
    const step = Math.sign(left);
    const claims = widths.map((width, i) =>
      step < 0 && width === 1 ? Number.NEGATIVE_INFINITY : step * ((exact[i] ?? 0) - width),
    );
    const best = claims.indexOf(Math.max(...claims));
    if (claims[best] === Number.NEGATIVE_INFINITY) return widths;
    widths[best] = (widths[best] ?? 0) + step;
    left -= step;
  }
  return widths;
}

/** Arrays, encrypted devices, volumes and file systems, a line each. */
function devicesAbove(plan: DiskPlan): string[] {
  const fate = (action: DiskAction) => (action === DiskAction.KEEP ? words.kept : words.new);
  return alignColumns(
    deviceRows(plan).map(({ action, name, size, what }) => [name, size, fate(action), what]),
  );
}
