// Where the operator is: a stack of views, each with its cursor, scroll and filter. Pure.
import type { ScreenName } from "./keymap.ts";
import { type Line, type Target, textOf } from "./screens/lines.ts";

export type View = {
  screen: ScreenName;
  /** Of the thing that is shown; empty for lists. */
  name: string;
  /** The chosen line's place among those that can be chosen, and what it stood for. */
  cursor: number;
  chosen: string;
  scroll: number;
  filter: string;
  /** Stay at the end as lines come. */
  follow: boolean;
};

export function newView(screen: ScreenName, name = ""): View {
  return { screen, name, cursor: 0, chosen: "", scroll: 0, filter: "", follow: screen === "log" };
}

function keyOf({ kind, name }: Target): string {
  return `${kind}/${name}`;
}

/** The lines that hold the filter's text. Lines that no key can choose stay, as headings, unless all are so. */
export function filterLines(lines: Line[], filter: string): Line[] {
  if (!filter) return lines;
  const needle = filter.toLowerCase();
  const mixed = lines.some(({ target }) => target);
  return lines.filter((value) => (mixed && !value.target) || textOf(value).toLowerCase().includes(needle));
}

export type Window = {
  /** First line shown. */
  from: number;
  /** Index of the chosen line, -1 if no line can be chosen. */
  at: number;
};

/** What is shown of `lines` in `height` rows. The cursor stays on its thing when lines come and go. */
export function windowOf(view: View, lines: Line[], height: number): Window {
  const choices = choicesOf(lines);
  const same = choices.findIndex((index) => keyOfLine(lines[index]) === view.chosen);
  const cursor = same >= 0 ? same : Math.min(view.cursor, choices.length - 1);
  const last = Math.max(0, lines.length - height);
  return { from: view.follow ? last : Math.min(view.scroll, last), at: choices[cursor] ?? -1 };
}

/** Moves the cursor by `delta` choices; past the first or last it scrolls what has no choice. */
export function move(view: View, lines: Line[], height: number, delta: number): View {
  const choices = choicesOf(lines);
  const { from, at } = windowOf(view, lines, height);
  const last = Math.max(0, lines.length - height);
  const clamp = (scroll: number) => Math.max(0, Math.min(scroll, last));
  if (at < 0) return { ...view, follow: false, scroll: clamp(from + delta) };
  const wanted = choices.indexOf(at) + delta;
  const cursor = Math.max(0, Math.min(wanted, choices.length - 1));
  const row = choices[cursor] ?? 0;
  // At either end the rest of the screen can still be reached.
  const beyond = wanted - cursor;
  const scroll = beyond ? clamp(from + beyond) : clamp(Math.min(Math.max(from, row - height + 1), row));
  return { ...view, follow: false, cursor, chosen: keyOfLine(lines[row]), scroll };
}

function choicesOf(lines: Line[]): number[] {
  return lines.flatMap(({ target }, index) => (target ? [index] : []));
}

function keyOfLine(value: Line | undefined): string {
  return value?.target ? keyOf(value.target) : "";
}
