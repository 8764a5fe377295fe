// Turns a captured terminal screen into an SVG for the README:
//   tmux capture-pane -e -p | node test/picture.ts COLUMNS ROWS > docs/deployment.svg
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import xterm, { type IBufferCell } from "@xterm/headless";

const cell = { width: 8.4, height: 18, margin: 12 };
const background = "#16181d";
const foreground = "#d7dae0";
// The sixteen colours of a terminal; brighter ones follow.
const palette = (
  "#3b4048 #e06c75 #98c379 #e5c07b #61afef #c678dd #56b6c2 #d7dae0 " +
  "#5c6370 #ff7b85 #b5e890 #ffd68a #7cc4ff #dd91f3 #6fd3e0 #ffffff"
).split(" ");

type Style = { color: string; bold: boolean; fill: string };
type Run = Style & { column: number; text: string };

/** `screen`: text with ANSI colours, a line per row. */
export async function picture(screen: string, columns: number, rows: number): Promise<string> {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: true });
  await new Promise<void>((resolve) => terminal.write(screen.replace(/\n$/, ""), resolve));
  const lines: string[] = [];
  for (let row = 0; row < rows; row++) {
    const y = cell.margin + (row + 1) * cell.height - 5;
    for (const run of runsOf(terminal, row, columns)) lines.push(...draw(run, y));
  }
  const width = columns * cell.width + 2 * cell.margin;
  const height = rows * cell.height + 2 * cell.margin;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>A terminal screen of Muster</title>
<rect width="100%" height="100%" rx="8" fill="${background}"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" xml:space="preserve">
${lines.join("\n")}
</g>
</svg>
`;
}

/** Neighbouring cells of one style, without the blank rest of the row. */
function runsOf(terminal: InstanceType<typeof xterm.Terminal>, row: number, columns: number): Run[] {
  const line = terminal.buffer.active.getLine(row);
  const runs: Run[] = [];
  for (let column = 0; column < columns; column++) {
    const found = line?.getCell(column);
    if (!found || found.getWidth() === 0) continue;
    const style = styleOf(found);
    const last = runs.at(-1);
    const same = last && last.color === style.color && last.bold === style.bold && last.fill === style.fill;
    if (same && last.column + last.text.length === column) last.text += found.getChars() || " ";
    else runs.push({ ...style, column, text: found.getChars() || " " });
  }
  return runs.filter(({ text, fill }) => text.trim() || fill);
}

function styleOf(found: IBufferCell): Style {
  const own = found.isFgPalette() ? (palette[found.getFgColor()] ?? foreground) : foreground;
  const behind = found.isBgPalette() ? (palette[found.getBgColor()] ?? "") : "";
  const bold = found.isBold() !== 0;
  if (found.isInverse()) return { color: behind || background, bold, fill: own };
  return { color: found.isDim() ? "#7f848e" : own, bold, fill: behind };
}

function draw({ column, text, color, bold, fill }: Run, y: number): string[] {
  const x = (cell.margin + column * cell.width).toFixed(1);
  const width = (text.length * cell.width).toFixed(1);
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const rect = `<rect x="${x}" y="${y - 13}" width="${width}" height="${cell.height}" fill="${fill}"/>`;
  const weight = bold ? ' font-weight="bold"' : "";
  const label = `<text x="${x}" y="${y}" textLength="${width}" fill="${color}"${weight}>${escaped}</text>`;
  return fill ? [rect, label] : [label];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [columns, rows] = process.argv.slice(2).map(Number);
  process.stdout.write(await picture(await text(process.stdin), columns || 80, rows || 24));
}
