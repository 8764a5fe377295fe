// Semantic colours and glyphs: sixteen-colour terminals, and ASCII where the locale has no UTF-8. A state is
// never told by its colour alone.
import type { Tone } from "./words.ts";

export type Paint = { color?: string; dimColor?: boolean };

const paints: Record<Tone, Paint> = {
  ok: { color: "green" },
  busy: { color: "cyan" },
  warn: { color: "yellow" },
  fail: { color: "red" },
  idle: {},
  plain: {},
  dim: { dimColor: true },
  accent: { color: "blue" },
};

export const paint = (tone: Tone | undefined): Paint => paints[tone ?? "plain"];

export type Glyphs = Record<Tone, string> & { full: string; empty: string; rule: string; cursor: string };

const unicode: Glyphs = {
  ok: "●",
  busy: "◐",
  warn: "▲",
  fail: "✖",
  idle: "○",
  plain: "·",
  dim: "·",
  accent: "·",
  full: "█",
  empty: "░",
  rule: "─",
  cursor: "▸",
};

const ascii: Glyphs = {
  ok: "*",
  busy: "~",
  warn: "!",
  fail: "x",
  idle: ".",
  plain: "-",
  dim: "-",
  accent: "-",
  full: "#",
  empty: "-",
  rule: "-",
  cursor: ">",
};

export function glyphsFor(env: NodeJS.ProcessEnv): Glyphs {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || "";
  return locale === "" || /utf-?8/i.test(locale) ? unicode : ascii;
}
