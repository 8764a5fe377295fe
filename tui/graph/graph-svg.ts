// A graph of tasks as an SVG that needs nothing else to be shown. Pure.
import { escapeXml, round } from "../../proto/render/xml.ts";
import { type Layout, layoutOf, lineHeight, margin, type Placed, padding, type Way } from "./graph-layout.ts";
import { isLeftOut } from "./graph-marks.ts";
import type { TaskGraph } from "./task-graph.ts";

const solid = "#6b7280";
const dashed = "#2563eb";

export function graphSvg(graph: TaskGraph): string {
  const layout: Layout = layoutOf(graph);
  const [width, height] = [round(layout.width), round(layout.height)];
  const title = `Graph ${graph.graph} of cluster ${graph.cluster}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}" font-family="system-ui, sans-serif" font-size="12">`,
    '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#6b7280"/></marker></defs>',
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${margin}" y="24" font-size="15" font-weight="700" fill="#111827">${escapeXml(title)}</text>`,
    ...layout.ways.map(drawWay),
    ...layout.boxes.map(drawBox),
    "</svg>",
    "",
  ].join("\n");
}

function drawWay({ edge: { from, to, cross }, stops }: Way): string {
  // Where there is one of each kind, they stand beside each other.
  const shift = cross ? 4 : -4;
  let path = "";
  for (const [i, b] of stops.entries()) {
    const a = stops[i - 1];
    if (!a) continue;
    const [x1, y1] = [a.x + a.width, a.y + a.height / 2 + (a.box ? shift : 0)];
    const [x2, y2] = [b.x, b.y + b.height / 2 + (b.box ? shift : 0)];
    const bend = Math.max(20, Math.abs(x2 - x1) / 2);
    const move = path ? `L${round(x1)} ${round(y1)}` : `M${round(x1)} ${round(y1)}`;
    path += `${move}C${round(x1 + bend)} ${round(y1)} ${round(x2 - bend)} ${round(y2)} ${round(x2)} ${round(y2)}`;
  }
  const dashes = cross ? ' stroke-dasharray="5 4"' : "";
  const words = `${to} after ${from}${cross ? " of other nodes" : ""}`;
  return `<path d="${path}" fill="none" stroke="${cross ? dashed : solid}"${dashes} marker-end="url(#end)"><title>${escapeXml(words)}</title></path>`;
}

function drawBox({ box, lines, x, y, width, height }: Placed): string {
  const left = box !== undefined && isLeftOut(box);
  const [fill, ink] = left ? ["#f3f4f6", "#6b7280"] : ["#e6effa", "#0d2a4d"];
  const shape = `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${box?.join ? height / 2 : 4}" fill="${box?.join ? "#ffffff" : fill}" stroke="#9ca3af"/>`;
  const words = lines.map(
    (line, i) =>
      `<text x="${round(x + padding)}" y="${round(y + padding / 2 + 12 + i * lineHeight)}" fill="${ink}"${i === 0 ? ' font-weight="600"' : ""}>${escapeXml(line)}</text>`,
  );
  return `<g>${shape}${words.join("")}</g>`;
}
