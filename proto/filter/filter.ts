// The filter language of the List calls and of `-l`: AIP-160 with little left out. Terms are joined by `and` or by
// nothing, by `or`, turned round by `not`, and grouped by brackets; a term is `field = value` with any of the
// operators, or a bare word; `*` stands for anything at either end of a value.
import { nearest } from "../manifest/suggest.ts";
import { FilterError } from "./filter-error.ts";
import {
  type Comparison,
  compare,
  compareEntry,
  type EntryValue,
  type Field,
  listMatcher,
  type Operator,
  valueMatcher,
} from "./match.ts";
import type { Unit } from "./numbers.ts";
import { type Token, tokenize } from "./tokens.ts";

export type Fields<T> = {
  /** By name. A name that ends in `.*`, such as `label.*`, stands for any after the dot. */
  fields: Record<string, Field<T>>;
  /** Of a map's entry, for the fields that end in `.*`. */
  entry?: (item: T, field: string, key: string) => readonly EntryValue[];
  /** What a bare word is looked for in, and how that is said. */
  words: (item: T) => readonly string[];
  wordsAbout: string;
  /** What a bare list such as `n[1-20]` names. */
  listed?: (item: T) => string;
};

type Test<T> = (item: T) => boolean;

/** A part of the filter, with what it says in the operator's own words. */
type Term<T> = { passes: Test<T>; text: string; shows?: (item: T) => string };

export type Filter<T> = {
  passes: Test<T>;
  /** Fields that have just this value in everything that passes: where to look. */
  exact: ReadonlyMap<string, string>;
  /** Which of the terms that must all hold do not: ``memory >= 64 GiB` (it has 32 GiB)`. */
  misses: (item: T) => string[];
};

const lengthLimit = 1000;

/** The empty filter lets everything pass. Throws FilterError. */
export function parseFilter<T>(filter: string, fields: Fields<T>): Filter<T> {
  if (filter.length > lengthLimit)
    throw new FilterError(`the filter is longer than ${lengthLimit} characters`);
  const parser = new Parser(filter, fields);
  const terms = parser.parse();
  return {
    passes: (item) => terms.every(({ passes }) => passes(item)),
    exact: parser.exact,
    misses: (item) =>
      terms
        .filter(({ passes }) => !passes(item))
        .map(({ text, shows }) => `\`${text}\`${shows ? ` (it has ${shows(item) || "none"})` : ""}`),
  };
}

class Parser<T> {
  readonly exact = new Map<string, string>();
  readonly #filter: string;
  readonly #tokens: Token[];
  readonly #fields: Fields<T>;
  #at = 0;
  /** Within `or`, `not` or brackets a term need not hold for the whole to pass. */
  #depth = 0;

  constructor(filter: string, fields: Fields<T>) {
    this.#filter = filter;
    this.#tokens = tokenize(filter);
    this.#fields = fields;
  }

  /** The terms that must all hold. */
  parse(): Term<T>[] {
    if (this.#tokens.length === 0) return [];
    const terms = this.#either();
    const rest = this.#tokens[this.#at];
    if (rest) throw this.#fault(rest, "`)` closes nothing");
    return terms;
  }

  /** `… or …`: as one term, unless there is no `or`. */
  #either(): Term<T>[] {
    const from = this.#at;
    const first = this.#all();
    if (!this.#isKeyword("or")) return first;
    // What was taken for a must on the way here holds only on one side.
    if (this.#depth === 0) this.exact.clear();
    this.#depth++;
    const sides = [first];
    while (this.#isKeyword("or")) {
      this.#at++;
      sides.push(this.#all());
    }
    this.#depth--;
    const passes = (item: T) => sides.some((terms) => terms.every((term) => term.passes(item)));
    return [{ passes, text: this.#textFrom(from) }];
  }

  #all(): Term<T>[] {
    const terms = [this.#term()];
    for (
      let token = this.#next();
      token && !this.#isKeyword("or") && !isClosing(token);
      token = this.#next()
    ) {
      if (this.#isKeyword("and")) this.#at++;
      terms.push(this.#term());
    }
    return terms;
  }

  #term(): Term<T> {
    const from = this.#at;
    const token = this.#next();
    const before = this.#tokens[from - 1];
    if (!token || (token.kind === "word" && isJoin(token)) || isClosing(token)) {
      throw this.#incomplete(token, before);
    }
    if (this.#isKeyword("not")) {
      this.#at++;
      this.#depth++;
      const inner = this.#term();
      this.#depth--;
      return { passes: (item) => !inner.passes(item), text: this.#textFrom(from) };
    }
    if (token.kind === "bracket") return this.#bracket(token);
    if (token.kind === "operator") throw this.#fault(token, `\`${token.text}\` follows no field`);
    const follower = this.#tokens[this.#at + 1];
    if (follower?.kind !== "operator") return this.#bareWord(token);
    try {
      return this.#comparison(token, follower, from);
    } catch (error) {
      throw error instanceof FilterError ? this.#fault(token, error.message) : error;
    }
  }

  #bracket(opening: Token): Term<T> {
    const from = this.#at++;
    this.#depth++;
    const terms = this.#either();
    this.#depth--;
    const closing = this.#next();
    if (!closing || !isClosing(closing)) throw this.#fault(opening, "`(` is not closed");
    this.#at++;
    return { passes: (item) => terms.every((term) => term.passes(item)), text: this.#textFrom(from) };
  }

  #bareWord(token: Token): Term<T> {
    this.#at++;
    const { listed, words } = this.#fields;
    if (listed && token.kind === "word" && /[[,]/.test(token.text)) {
      const isNamed = this.#placed(token, () => listMatcher(token.text));
      return { passes: (item) => isNamed(listed(item)), text: token.text };
    }
    const matches = wordMatcher(token.text);
    return { passes: (item) => words(item).some(matches), text: token.text };
  }

  #comparison(name: Token, { text: operator }: Token, from: number): Term<T> {
    const value = this.#tokens[from + 2];
    if (!value || value.kind === "operator" || value.kind === "bracket" || isKeywordToken(value))
      throw new FilterError(`\`${name.text} ${operator}\` is followed by no value`);
    this.#at += 3;
    const made = this.#compared(name.text, operator as Operator, value);
    const isExact = operator === "=" && !value.text.includes("*") && !isListed(value);
    if (isExact && this.#depth === 0) this.exact.set(name.text, value.text);
    return { ...made, text: this.#textFrom(from) };
  }

  #compared(name: string, operator: Operator, value: Token): Comparison<T> {
    const { fields, entry } = this.#fields;
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field) {
      const text = field.kind === "number" ? this.#withUnit(value.text, field.unit) : value.text;
      return compare(name, field, operator, text, isListed(value));
    }
    const dot = name.indexOf(".");
    const map = name.slice(0, dot);
    if (dot < 1 || !entry || !Object.hasOwn(fields, `${map}.*`)) throw unknownField(name, fields);
    return compareEntry(
      (item) => entry(item, map, name.slice(dot + 1)),
      operator,
      value.text,
      isListed(value),
    );
  }

  /** `64 GiB` are two words. */
  #withUnit(text: string, unit: Unit): string {
    const next = this.#next();
    if (unit === "count" || !/\d$/.test(text) || next?.kind !== "word") return text;
    // What begins a comparison of its own is no unit.
    if (isKeywordToken(next) || this.#isFieldName() || !/^[A-Za-z/]+$/.test(next.text)) return text;
    this.#at++;
    return `${text} ${next.text}`;
  }

  #next(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #isKeyword(word: string): boolean {
    const token = this.#next();
    return token?.kind === "word" && token.text.toLowerCase() === word && !this.#isFieldName();
  }

  /** A word that an operator follows is a field, whatever it is called. */
  #isFieldName(): boolean {
    return this.#tokens[this.#at + 1]?.kind === "operator";
  }

  #textFrom(at: number): string {
    return this.#filter.slice(this.#tokens[at]?.from, this.#tokens[this.#at - 1]?.to);
  }

  #placed<R>(token: Token, work: () => R): R {
    try {
      return work();
    } catch (error) {
      throw error instanceof FilterError ? this.#fault(token, error.message) : error;
    }
  }

  #incomplete(token: Token | undefined, before: Token | undefined): FilterError {
    const joint = [token, before].find((each) => each?.kind === "word" && isKeywordToken(each));
    const place = token ?? before;
    if (joint && joint.text.toLowerCase() === "not")
      return this.#fault(joint, `${joint.text} is followed by no term`);
    if (joint) return this.#fault(joint, `${joint.text} stands between two terms`);
    return this.#fault(place, before?.text === "(" ? "the brackets are empty" : "`)` closes nothing");
  }

  #fault(token: Token | undefined, message: string): FilterError {
    return new FilterError(`${message} (character ${(token?.from ?? 0) + 1} of the filter)`);
  }
}

const isClosing = ({ kind, text }: Token) => kind === "bracket" && text === ")";
const isJoin = ({ text }: Token) => /^(?:and|or)$/i.test(text);
const isKeywordToken = ({ kind, text }: Token) => kind === "word" && /^(?:and|or|not)$/i.test(text);
/** An unquoted word with a range or a list in brackets. */
const isListed = ({ kind, text }: Token) => kind === "word" && text.includes("[");

function unknownField(name: string, fields: Record<string, unknown>): FilterError {
  const known = Object.keys(fields);
  const near = nearest(name, known);
  if (near) return new FilterError(`there is no field \`${name}\` to filter by; did you mean \`${near}\`?`);
  const label = Object.hasOwn(fields, "label.*") ? `; a label is \`label.${name}\`` : "";
  return new FilterError(`there is no field \`${name}\` to filter by; there are ${known.join(", ")}${label}`);
}

/** A bare word is looked for anywhere, in upper or lower case. */
function wordMatcher(word: string): (value: string) => boolean {
  const wanted = word.toLowerCase();
  const matches = wanted.includes("*") ? valueMatcher(wanted) : (value: string) => value.includes(wanted);
  return (value) => matches(value.toLowerCase());
}
