// The disks of a plan, or of every node of a fleet, to scale, as an SVG that needs nothing else to be shown.
import type { DiskPlan } from "../gen/muster/v1/disk_plan_pb.ts";
import { formatBytes } from "./bytes.ts";
import { clean } from "./clean.ts";
import { type DiskPicture, type Fate, pictureOf, type Segment } from "./disk-segments.ts";
import type { NodeDisks } from "./loss-table.ts";
import { escapeXml, round } from "./xml.ts";

const width = 960;
const left = 70;
const barHeight = 34;
const diskHeight = 128;
const headingHeight = 28;

const colours: Record<Fate, { fill: string; text: string }> = {
  free: { fill: "#f3f4f6", text: "#6b7280" },
  kept: { fill: "#86c79b", text: "#12351f" },
  destroyed: { fill: "#e08a84", text: "#4a0f0b" },
  new: { fill: "#8fb4e3", text: "#0d2a4d" },
};

const legend: [Fate, string][] = [
  ["destroyed", "destroyed"],
  ["kept", "stays"],
  ["new", "new"],
];

export function disksSvg(plan: DiskPlan): string {
  return fleetSvg([{ node: "", disks: plan }]);
}

/** The disks of each node below its name; a node without a name has no heading. */
export function fleetSvg(nodes: NodeDisks[]): string {
  const shapes: string[] = [];
  const titles: string[] = [];
  let top = 0;
  for (const { node, disks } of nodes) {
    if (node) {
      const note = disks?.disks.length ? "" : ": no disk is touched";
      shapes.push(text(10, top + 24, clean(node) + note, "#111827", 'font-size="16" font-weight="700"'));
      top += headingHeight;
    }
    for (const picture of disks?.disks.map((disk) => pictureOf(disks, disk)) ?? []) {
      shapes.push(...drawDisk(picture, top + 12));
      titles.push(picture.title);
      top += diskHeight;
    }
  }
  const height = top + 40;
  const label = `Disks before and after: ${titles.join("; ")}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(label)}" font-family="system-ui, sans-serif" font-size="13">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...shapes,
    ...drawLegend(top + 16),
    "</svg>",
    "",
  ].join("\n");
}

function drawDisk({ title, size, before, after }: DiskPicture, top: number): string[] {
  return [
    text(10, top + 14, `${title}, ${formatBytes(size)}`, "#111827", 'font-weight="600"'),
    text(10, top + 46, "before", "#374151"),
    ...drawBar(before, size, top + 24),
    text(10, top + 88, "after", "#374151"),
    ...drawBar(after, size, top + 66),
  ];
}

function drawBar(segments: Segment[], size: bigint, top: number): string[] {
  const room = width - left - 10;
  const place = (bytes: bigint) => left + (Number(bytes) / Number(size || 1n)) * room;
  const frame = `<rect x="${left}" y="${top}" width="${room}" height="${barHeight}" fill="${colours.free.fill}" stroke="#9ca3af"/>`;
  return [
    frame,
    ...segments
      .filter(({ fate }) => fate !== "free")
      .map((segment) => drawSegment(segment, place(segment.start), place(segment.start + segment.size), top)),
  ];
}

function drawSegment({ label, size, fate }: Segment, from: number, to: number, top: number): string {
  // What is too small to be seen to scale is a line.
  const wide = Math.max(to - from, 2);
  const { fill, text: ink } = colours[fate];
  const caption = `${label} ${formatBytes(size)}`;
  const shown = [caption, label, label.split(" ")[0] ?? ""].find((one) => one.length * 7.2 < wide - 8);
  const words = shown ? text(from + 5, top + 22, shown, ink) : "";
  return `<g><title>${escapeXml(caption)}</title><rect x="${round(from)}" y="${top}" width="${round(wide)}" height="${barHeight}" fill="${fill}" stroke="#ffffff"/>${words}</g>`;
}

function drawLegend(top: number): string[] {
  return legend.flatMap(([fate, word], i) => [
    `<rect x="${left + i * 110}" y="${top}" width="14" height="14" fill="${colours[fate].fill}"/>`,
    text(left + i * 110 + 20, top + 12, word, "#374151"),
  ]);
}

function text(x: number, y: number, words: string, colour: string, more = ""): string {
  return `<text x="${round(x)}" y="${y}" fill="${colour}"${more && ` ${more}`}>${escapeXml(words)}</text>`;
}
