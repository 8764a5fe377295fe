// The filter language of the List calls: a subset of AIP-160. Terms are joined by AND or by nothing; a term is
// `field = value`, `field != value` or a bare word; `*` stands for anything at either end of a value.
import { hintFor, nearest } from "../manifest/suggest.ts";

/** What can be asked of one field. A text field may have several values: any of them may be meant. */
export type Field<T> =
  | { kind: "text"; about: string; get: (item: T) => readonly string[] }
  | { kind: "enum"; about: string; values: readonly string[]; get: (item: T) => readonly string[] }
  | { kind: "flag"; about: string; get: (item: T) => boolean };

export type Fields<T> = {
  /** By name. A name that ends in `.*`, such as `label.*`, stands for any after the dot. */
  fields: Record<string, Field<T>>;
  /** Of a map's entry, for the fields that end in `.*`. */
  entry?: (item: T, field: string, key: string) => readonly string[];
  /** What a bare word is looked for in, and how that is said. */
  words: (item: T) => readonly string[];
  wordsAbout: string;
};

/** The filter cannot be understood; the message says where and what would be. */
export class FilterError extends Error {
  override name = "FilterError";
}

type Token = { kind: "word" | "text" | "operator"; text: string };
type Test<T> = (item: T) => boolean;

export type Filter<T> = {
  passes: Test<T>;
  /** Fields that have just this value in everything that passes: where to look. */
  exact: ReadonlyMap<string, string>;
};

const lengthLimit = 1000;

/** The empty filter lets everything pass. Throws FilterError. */
export function parseFilter<T>(filter: string, fields: Fields<T>): Filter<T> {
  if (filter.length > lengthLimit)
    throw new FilterError(`the filter is longer than ${lengthLimit} characters`);
  const tokens = tokenize(filter);
  const tests: Test<T>[] = [];
  const exact = new Map<string, string>();
  for (let at = 0; at < tokens.length; ) {
    const [token, next, value] = [tokens[at], tokens[at + 1], tokens[at + 2]];
    if (!token) break;
    if (token.kind === "operator") throw new FilterError(`\`${token.text}\` follows no field`);
    if (token.kind === "word" && token.text === "AND") {
      if (at === 0 || !next || isAnd(next)) throw new FilterError("AND stands between two terms");
      at += 1;
    } else if (next?.kind === "operator") {
      if (!value || value.kind === "operator" || isAnd(value))
        throw new FilterError(`\`${token.text} ${next.text}\` is followed by no value`);
      tests.push(comparison(token.text, next.text === "!=", value.text, fields));
      if (next.text === "=" && !value.text.includes("*")) exact.set(token.text, value.text);
      at += 3;
    } else {
      refuseUnknownWords(token);
      const matches = wordMatcher(token.text);
      tests.push((item) => fields.words(item).some(matches));
      at += 1;
    }
  }
  return { passes: (item) => tests.every((test) => test(item)), exact };
}

const isAnd = ({ kind, text }: Token) => kind === "word" && text === "AND";

/** What AIP-160 has and this has not would otherwise be taken for a word that nothing contains. */
function refuseUnknownWords({ kind, text }: Token): void {
  if (kind !== "word") return;
  if (["OR", "NOT"].includes(text))
    throw new FilterError(`${text} is not part of filters; quote it to look for the word: "${text}"`);
  if (/[()<>]/.test(text))
    throw new FilterError(`\`${text}\`: filters have = and !=, and no brackets; quote it to look for it`);
}

function tokenize(filter: string): Token[] {
  const tokens: Token[] = [];
  const pattern = /\s+|(!=|=)|"((?:[^"\\]|\\.)*)"|([^\s"=!]+|!(?!=))/y;
  while (pattern.lastIndex < filter.length) {
    const from = pattern.lastIndex;
    const match = pattern.exec(filter);
    if (!match) throw new FilterError(`a quote is not closed at character ${from + 1} of the filter`);
    const [, operator, quoted, word] = match;
    if (operator !== undefined) tokens.push({ kind: "operator", text: operator });
    if (quoted !== undefined) tokens.push({ kind: "text", text: quoted.replace(/\\(.)/g, "$1") });
    if (word !== undefined) tokens.push({ kind: "word", text: word });
  }
  return tokens;
}

function comparison<T>(name: string, negative: boolean, value: string, fields: Fields<T>): Test<T> {
  const positive = equality(name, value, fields);
  return negative ? (item) => !positive(item) : positive;
}

function equality<T>(name: string, value: string, fields: Fields<T>): Test<T> {
  const field = Object.hasOwn(fields.fields, name) ? fields.fields[name] : undefined;
  if (!field) return entryEquality(name, value, fields);
  switch (field.kind) {
    case "flag": {
      if (!/^(?:true|false)$/i.test(value))
        throw new FilterError(`\`${name}\` is true or false, not \`${value}\``);
      const wanted = value.toLowerCase() === "true";
      return (item) => field.get(item) === wanted;
    }
    case "enum": {
      const matches = valueMatcher(value.toUpperCase());
      if (!field.values.some(matches))
        throw new FilterError(
          `\`${name}\` is never \`${value}\`${hintFor(value.toUpperCase(), field.values)}`,
        );
      return (item) => field.get(item).some(matches);
    }
    case "text": {
      const matches = valueMatcher(value);
      return (item) => field.get(item).some(matches);
    }
  }
}

function entryEquality<T>(name: string, value: string, { fields, entry }: Fields<T>): Test<T> {
  const dot = name.indexOf(".");
  const map = name.slice(0, dot);
  if (dot < 1 || !entry || !Object.hasOwn(fields, `${map}.*`)) throw unknownField(name, Object.keys(fields));
  const matches = valueMatcher(value);
  return (item) => entry(item, map, name.slice(dot + 1)).some(matches);
}

function unknownField(name: string, known: readonly string[]): FilterError {
  const near = nearest(name, known);
  const remedy = near ? `did you mean \`${near}\`?` : `there are ${known.join(", ")}`;
  return new FilterError(`there is no field \`${name}\` to filter by; ${remedy}`);
}

/** `*` at either end stands for anything; elsewhere it is itself. */
function valueMatcher(pattern: string): (value: string) => boolean {
  const [open, close] = [pattern.startsWith("*"), pattern.length > 1 && pattern.endsWith("*")];
  const text = pattern.slice(open ? 1 : 0, close ? -1 : undefined);
  if (open && close) return (value) => value.includes(text);
  if (open) return (value) => value.endsWith(text);
  if (close) return (value) => value.startsWith(text);
  return (value) => value === text;
}

/** A bare word is looked for anywhere, in upper or lower case. */
function wordMatcher(word: string): (value: string) => boolean {
  const wanted = word.toLowerCase();
  const matches = wanted.includes("*") ? valueMatcher(wanted) : (value: string) => value.includes(wanted);
  return (value) => matches(value.toLowerCase());
}
