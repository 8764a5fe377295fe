// Colours of verbs that print to a terminal: as on the screens, and none into pipes or with NO_COLOR.
import { styleText } from "node:util";
import type { Io } from "./io.ts";
import type { Tone } from "./words.ts";

type Style = Parameters<typeof styleText>[0];

const styles: Partial<Record<Tone, Style>> = {
  ok: "green",
  busy: "cyan",
  warn: "yellow",
  fail: "red",
  dim: "dim",
  accent: "blue",
};

/** How a verb colours its lines. */
export function painter({ terminal, env }: Io): (text: string, tone: Tone | undefined) => string {
  if (!terminal || env.NO_COLOR) return (text) => text;
  return (text, tone = "plain") => {
    const style = styles[tone];
    return style ? styleText(style, text, { validateStream: false }) : text;
  };
}
