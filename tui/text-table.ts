// Plain text tables: columns as wide as their widest cell, two spaces apart.

/** The lines of a table, header first. A column whose cells are all empty is left out. */
export function table(header: string[], rows: string[][]): string[] {
  const used = header.map((_, index) => rows.length === 0 || rows.some((row) => row[index]));
  const keep = (cells: string[]) => cells.filter((_, index) => used[index]);
  return columns([keep(header), ...rows.map(keep)]);
}

/** Cells aligned below each other; no header. */
export function columns(rows: string[][], gap = "  "): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join(gap)
      .trimEnd(),
  );
}

/** `name: value` lines, aligned; those without a value are left out. */
export function facts(pairs: [name: string, value: string | undefined][]): string[] {
  const known = pairs.filter((pair): pair is [string, string] => Boolean(pair[1]));
  return columns(known.map(([name, value]) => [`${name}:`, value]));
}

export function indent(lines: string[], by = "  "): string[] {
  return lines.map((line) => (line ? by + line : line));
}
