// A timeline as an SVG that needs nothing else to be shown: a row for each node, a bar for each attempt; what is on the
// critical path has a dark edge. Pure.
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { escapeXml, round } from "../../proto/render/xml.ts";
import { clean, formatDuration } from "../format.ts";
import { stepWord } from "../words.ts";
import type { Report } from "./report.ts";
import type { Bar } from "./timeline.ts";

const width = 1200;
const margin = 12;
const letter = 7;
const rowHeight = 18;
const headHeight = 56;
const legendWidth = 200;

/** At most so many marks of time, and the seconds between two. */
const ticks = 12;
const tickLengths = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400,
  172_800,
];

/** Told apart by people who see no red or green, too. */
const colours = [
  "#4477aa",
  "#ccbb44",
  "#66ccee",
  "#aa3377",
  "#228833",
  "#ee9966",
  "#8888cc",
  "#999933",
  "#55aa99",
  "#bb88aa",
];
const failedColour = "#cc3311";

export function ganttSvg({ timeline, chain }: Report): string {
  const { deployment, start, end, ofNode } = timeline;
  const nodes = [...new Set(timeline.steps.map(({ node }) => node))].filter((node) => ofNode.has(node));
  const tasks = [...new Set(timeline.steps.filter(({ bars }) => bars.length).map(({ task }) => task))];
  const colourOf = new Map(tasks.map((task, i) => [task, colours[i % colours.length] ?? failedColour]));
  const left = margin + Math.min(30, Math.max(0, ...nodes.map((name) => name.length))) * letter + 8;
  // What stands at the last mark needs room.
  const scale = (width - left - 3 * margin) / Math.max(1, end - start);
  const bottom = headHeight + nodes.length * rowHeight;
  const critical = new Set(chain.map(({ step, start }) => `${step} ${start}`));
  const place = (time: number) => left + (time - start) * scale;
  const drawBar = (bar: Bar, y: number) => {
    const bad = bar.state === Step_State.FAILED || bar.state === Step_State.CANCELLED;
    const fill = bad ? failedColour : colourOf.get(bar.task);
    const open =
      bar.state === Step_State.RUNNING || bar.state === Step_State.UNKNOWN ? ' fill-opacity="0.5"' : "";
    const edge = critical.has(`${bar.step} ${bar.start}`) ? ' stroke="#111827" stroke-width="1.5"' : "";
    const size = `x="${round(place(bar.start))}" y="${y + 2}" width="${round(Math.max(0.5, (bar.end - bar.start) * scale))}" height="${rowHeight - 4}"`;
    return `<rect ${size} fill="${fill}"${open}${edge}><title>${escapeXml(barWords(bar, start))}</title></rect>`;
  };
  const rows = nodes.flatMap((node, i) => {
    const y = headHeight + i * rowHeight;
    const label = `<text x="${margin}" y="${y + 13}">${escapeXml(node)}</text>`;
    return [label, ...(ofNode.get(node) ?? []).map((bar) => drawBar(bar, y))];
  });
  const legend = legendLines(tasks, colourOf, bottom + 16);
  const height = bottom + 24 + legend.height;
  const title = `Timeline of ${deployment.name}, ${formatDuration(end - start)}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}" font-family="system-ui, sans-serif" font-size="12" fill="#111827">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="${margin}" y="20" font-size="15" font-weight="700">${escapeXml(title)}</text>`,
    ...axis(end - start, (ms) => place(start + ms), bottom),
    ...rows,
    ...legend.shapes,
    "</svg>",
    "",
  ].join("\n");
}

function barWords(bar: Bar, start: number): string {
  const again = bar.number > 1 ? `, attempt ${bar.number}` : "";
  const words = `${bar.step}${again}: ${stepWord(bar).word}, ${formatDuration(bar.end - bar.start)} from +${formatDuration(bar.start - start)}`;
  return bar.reason ? `${words}; ${clean(bar.reason)}` : words;
}

function axis(span: number, place: (ms: number) => number, bottom: number): string[] {
  const step = tickOf(span);
  const marks: string[] = [];
  for (let ms = 0; ms <= span; ms += step) {
    const x = round(place(ms));
    marks.push(`<line x1="${x}" y1="${headHeight - 6}" x2="${x}" y2="${bottom}" stroke="#e5e7eb"/>`);
    marks.push(
      `<text x="${x}" y="${headHeight - 12}" text-anchor="middle" fill="#6b7280">${formatDuration(ms)}</text>`,
    );
  }
  return marks;
}

/** The shortest step, among those that people count in, with which there are not too many marks. */
function tickOf(span: number): number {
  return tickLengths.map((seconds) => seconds * 1000).find((ms) => span / ms <= ticks) ?? span;
}

function legendLines(tasks: string[], colourOf: ReadonlyMap<string, string>, top: number) {
  const columns = Math.floor((width - 2 * margin) / legendWidth);
  const entries: [string, string][] = [
    ...tasks.map((task): [string, string] => [task, colourOf.get(task) ?? ""]),
    ["failed", failedColour],
  ];
  const shapes = entries.flatMap(([words, colour], i) => {
    const [x, y] = [margin + (i % columns) * legendWidth, top + Math.floor(i / columns) * rowHeight];
    const shown = words.length > 24 ? `${words.slice(0, 23)}…` : words;
    return [
      `<rect x="${x}" y="${y}" width="12" height="12" fill="${colour}"/>`,
      `<text x="${x + 18}" y="${y + 10}">${escapeXml(shown)}</text>`,
    ];
  });
  return { shapes, height: Math.ceil(entries.length / columns) * rowHeight };
}
