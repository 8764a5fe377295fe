// Lists of names as hosts are counted: `n[1-20]`, `n[01-20,25]`, `rack[1-2]n[1-4]`, `n1,n3`. Read into single names,
// and written as short as they can be.
import { FilterError } from "./filter-error.ts";

/** More names than any cluster has: what is longer is a slip such as `n[1-99999999]`. */
const namesLimit = 100_000;

/** The text is nothing but a list of names, of which one is a list too. */
export function isNodeList(text: string): boolean {
  return /^[\w.,[\]-]+$/.test(text);
}

/** `n[1-3],m4` → n1, n2, n3, m4: each once, in the order in which they are written. Throws FilterError. */
export function expandNodes(text: string): string[] {
  const names = new Set<string>();
  for (const item of itemsOf(text)) for (const name of expandItem(item, text)) names.add(name);
  return [...names];
}

/** Split at the commas that are outside of brackets. */
function itemsOf(text: string): string[] {
  const items: string[] = text.match(/(?:[^,[]|\[[^\]]*(?:\]|$))+|(?<=^|,)(?=,|$)/g) ?? [];
  if (items.length === 0 || items.includes("")) throw new FilterError(`\`${text}\`: a name is missing`);
  return items;
}

function expandItem(item: string, text: string): string[] {
  let names = [""];
  for (const [part] of item.matchAll(/\[[^\]]*\]?|[^[]+/g)) {
    const ends = part.startsWith("[") ? numbersOf(part, text) : [literal(part, text)];
    if (names.length * ends.length > namesLimit) throw tooMany(text);
    names = names.flatMap((name) => ends.map((end) => name + end));
  }
  return names;
}

function literal(part: string, text: string): string {
  if (part.includes("]")) throw new FilterError(`\`${text}\`: a \`]\` closes nothing`);
  return part;
}

/** `[01-03,7]` → 01, 02, 03, 7. */
function numbersOf(part: string, text: string): string[] {
  if (!part.endsWith("]")) throw new FilterError(`\`${text}\`: a \`[\` is not closed`);
  const numbers: string[] = [];
  for (const range of part.slice(1, -1).split(",")) {
    const [, from, to = from] = /^(\d{1,15})(?:-(\d{1,15}))?$/.exec(range) ?? [];
    if (from === undefined || to === undefined) {
      throw new FilterError(`\`${text}\`: \`${range}\` is no number and no range such as 1-20`);
    }
    const [first, last] = [Number(from), Number(to)];
    if (last < first) throw new FilterError(`\`${text}\`: the range \`${range}\` runs backwards`);
    if (numbers.length + last - first >= namesLimit) throw tooMany(text);
    for (let number = first; number <= last; number++) numbers.push(written(number, from));
  }
  return numbers;
}

function tooMany(text: string): FilterError {
  return new FilterError(`\`${text}\` names more than ${namesLimit} nodes`);
}

/** With as many digits as the range's first number, if that has leading zeros. */
function written(number: number, first: string): string {
  return first.startsWith("0") ? String(number).padStart(first.length, "0") : String(number);
}

/** A name between whose words there may be any of some numbers. */
type Pattern = { words: string[]; numbers: string[][] };

/** n1, n2, n3, m4 → `m4,n[1-3]`: what expandNodes() reads as the same names. */
export function foldNodes(names: Iterable<string>): string {
  let patterns = [...new Set(names)].sort(byNumber).map(patternOf);
  const most = Math.max(0, ...patterns.map(({ numbers }) => numbers.length));
  for (let place = most - 1; place >= 0; place--) patterns = merged(patterns, place);
  return patterns.map(textOf).join(",");
}

function patternOf(name: string): Pattern {
  const parts = name.split(/(\d+)/);
  const isLong = parts.some((part, i) => i % 2 === 1 && part.length > 15);
  if (isLong) return { words: [name], numbers: [] };
  return {
    words: parts.filter((_, i) => i % 2 === 0),
    numbers: parts.filter((_, i) => i % 2 === 1).map((number) => [number]),
  };
}

/** Patterns that differ only in the numbers at that place become one. */
function merged(patterns: Pattern[], place: number): Pattern[] {
  const groups = Map.groupBy(patterns, ({ words, numbers }) =>
    JSON.stringify([words, numbers.map((list, i) => (i === place ? "" : list))]),
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first || place >= first.numbers.length) return group;
    const all = group.flatMap(({ numbers }) => numbers[place] ?? []).sort(byNumber);
    return [{ ...first, numbers: first.numbers.map((list, i) => (i === place ? all : list)) }];
  });
}

function textOf({ words, numbers }: Pattern): string {
  return words.map((word, i) => word + rangesOf(numbers[i] ?? [])).join("");
}

function rangesOf(numbers: string[]): string {
  if (numbers.length <= 1) return numbers[0] ?? "";
  const ranges: [from: string, to: string][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last && written(Number(last[1]) + 1, last[0]) === number) last[1] = number;
    else ranges.push([number, number]);
  }
  return `[${ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(",")}]`;
}

const collator = new Intl.Collator("en", { numeric: true });

/** n2 before n10; what counts the same, as 01 and 1, by its letters. */
export function byNumber(a: string, b: string): number {
  return collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}
