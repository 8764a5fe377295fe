// The words of a filter, each with its place.
import { FilterError } from "./filter-error.ts";

export type Token = {
  /** A `text` was quoted: it is never an operator, a list or a unit. */
  kind: "word" | "text" | "operator" | "bracket";
  text: string;
  /** Of its first character, and of the one behind it. */
  from: number;
  to: number;
};

const operators = "!=|<=|>=|=|<|>";
const pattern = () =>
  new RegExp(`\\s+|(${operators})|([()])|"((?:[^"\\\\]|\\\\.)*)"|([^\\s"=!<>()]+|!(?!=))`, "y");

/** Throws FilterError. */
export function tokenize(filter: string): Token[] {
  const tokens: Token[] = [];
  const next = pattern();
  while (next.lastIndex < filter.length) {
    const from = next.lastIndex;
    const match = next.exec(filter);
    if (!match) throw new FilterError(`a quote is not closed at character ${from + 1} of the filter`);
    const [, operator, bracket, quoted, word] = match;
    const place = { from, to: next.lastIndex };
    if (operator !== undefined) tokens.push({ kind: "operator", text: operator, ...place });
    if (bracket !== undefined) tokens.push({ kind: "bracket", text: bracket, ...place });
    if (quoted !== undefined) tokens.push({ kind: "text", text: quoted.replace(/\\(.)/g, "$1"), ...place });
    if (word !== undefined) tokens.push({ kind: "word", text: word, ...place });
  }
  return tokens;
}
