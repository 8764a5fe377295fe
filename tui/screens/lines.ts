// What a screen is made of: lines of toned segments, some of which stand for a thing that can be chosen.
import { clean } from "../format.ts";
import type { World } from "../model.ts";
import type { Glyphs } from "../theme.ts";
import type { Tone } from "../words.ts";

export type Segment = { text: string; tone?: Tone; bold?: boolean };

export type Target = { kind: "node" | "cluster" | "image" | "deployment" | "step" | "event"; name: string };

export type Line = { segments: Segment[]; target?: Target };

export type Screen = {
  /** Where one is, for the header. */
  title: string;
  /** Stays above the lines that scroll. */
  head: Line[];
  body: Line[];
};

/** What screens are made from. */
export type Scene = { world: World; now: number; width: number; glyphs: Glyphs };

export function line(text: string, tone?: Tone, target?: Target): Line {
  return { segments: [{ text: clean(text), tone }], ...(target && { target }) };
}

export const blank: Line = { segments: [] };

/** `── Title ─────` across the screen. */
export function rule(scene: Scene, title: string): Line {
  const { rule: dash } = scene.glyphs;
  const rest = Math.max(0, scene.width - margin - title.length - 4);
  return {
    segments: [
      { text: `${dash.repeat(2)} `, tone: "dim" },
      { text: title, bold: true },
      { text: ` ${dash.repeat(rest)}`, tone: "dim" },
    ],
  };
}

/** A word with its glyph before it. */
export function toned(glyphs: Glyphs, word: string, tone: Tone): Segment {
  return { text: `${glyphs[tone]} ${word}`, tone };
}

export type Column = {
  title: string;
  /** Left out first if the screen is narrow; a column without it never is. */
  drop?: number;
  right?: boolean;
};

export type Row = { cells: (string | Segment)[]; target?: Target };

const gap = 2;
/** Room for the cursor mark before each line. */
export const margin = 2;

/** A table that fits the width: columns as wide as their content, the last takes what is left. */
export function tableLines(columns: Column[], rows: Row[], width: number): { head: Line; body: Line[] } {
  const segments = rows.map((row) => row.cells.map(toSegment));
  const natural = columns.map((column, index) =>
    Math.max(column.title.length, ...segments.map((cells) => cells[index]?.text.length ?? 0)),
  );
  const kept = keepColumns(columns, natural, width - margin);
  const cell = (segment: Segment, index: number) => {
    const last = index === kept.at(-1);
    const size = last ? 0 : (natural[index] ?? 0);
    const text = columns[index]?.right ? segment.text.padStart(size) : segment.text.padEnd(size);
    return { ...segment, text: last ? text : text + " ".repeat(gap) };
  };
  const head = kept.map((index) => cell({ text: columns[index]?.title ?? "", tone: "dim" }, index));
  const body = segments.map((cells, at) => ({
    segments: kept.map((index) => cell(cells[index] ?? { text: "" }, index)),
    ...(rows[at]?.target && { target: rows[at].target }),
  }));
  return { head: { segments: head }, body };
}

/** The columns that fit; the last may be cut, but keeps a fifth of the width. */
function keepColumns(columns: Column[], natural: number[], width: number): number[] {
  let kept = columns.map((_, index) => index);
  const needed = () =>
    kept.reduce((sum, index) => {
      const size = natural[index] ?? 0;
      return sum + (index === kept.at(-1) ? Math.min(size, Math.floor(width / 5)) : size + gap);
    }, 0);
  const droppable = columns
    .map((column, index) => ({ index, drop: column.drop ?? 0 }))
    .filter(({ drop }) => drop > 0)
    .sort((a, b) => a.drop - b.drop);
  for (const { index } of droppable) {
    if (needed() <= width) break;
    kept = kept.filter((other) => other !== index);
  }
  return kept;
}

function toSegment(cell: string | Segment): Segment {
  return typeof cell === "string" ? { text: clean(cell) } : { ...cell, text: clean(cell.text) };
}

export function textOf(value: Line): string {
  return value.segments.map(({ text }) => text).join("");
}

/** Words in lines of at most `width`; a longer word stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let current = "";
  for (const word of text.split(" ")) {
    if (current && current.length + word.length + 1 > width) {
      lines.push(current);
      current = word;
    } else current = current ? `${current} ${word}` : word;
  }
  return [...lines, current];
}
