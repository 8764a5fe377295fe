// Whether a field of an item has a value: what stands on the right of a filter's operator.
import { hintFor } from "../manifest/suggest.ts";
import { FilterError } from "./filter-error.ts";
import { expandNodes } from "./node-list.ts";
import { numberText, parseNumber, type Unit } from "./numbers.ts";

export type Operator = "=" | "!=" | "<" | "<=" | ">" | ">=";

/** A fact of a task may be a number or a truth as well as a text. */
export type EntryValue = string | number | boolean;

/** What can be asked of one field. A field may have several values: any of them may be meant. */
export type Field<T> =
  | { kind: "text"; about: string; get: (item: T) => readonly string[] }
  | { kind: "enum"; about: string; values: readonly string[]; get: (item: T) => readonly string[] }
  | { kind: "flag"; about: string; get: (item: T) => readonly boolean[] }
  | { kind: "number"; about: string; unit: Unit; get: (item: T) => readonly number[] };

export type Comparison<T> = {
  passes: (item: T) => boolean;
  /** What the item has instead, for people. */
  shows: (item: T) => string;
};

/** `isList`: an unquoted value with brackets, such as `n[1-20]`, is any of these. Throws FilterError. */
export function compare<T>(
  name: string,
  field: Field<T>,
  operator: Operator,
  value: string,
  isList: boolean,
): Comparison<T> {
  if (field.kind === "number") return compareNumber(name, field, operator, value);
  if (operator !== "=" && operator !== "!=") {
    throw new FilterError(`\`${name}\` is no number: it can be = or !=, and not ${operator}`);
  }
  const equal = equality(name, field, value, isList);
  return {
    passes: operator === "=" ? equal : (item) => !equal(item),
    shows: (item) => field.get(item).join(", "),
  };
}

function compareNumber<T>(
  name: string,
  { unit, get }: Field<T> & { kind: "number" },
  operator: Operator,
  value: string,
): Comparison<T> {
  const holds = order(operator === "!=" ? "=" : operator, parseNumber(value, unit, name));
  const any = (item: T) => get(item).some(holds);
  return {
    passes: operator === "!=" ? (item) => !any(item) : any,
    shows: (item) =>
      get(item)
        .map((number) => numberText(number, unit))
        .join(", "),
  };
}

function order(operator: Exclude<Operator, "!=">, wanted: number): (number: number) => boolean {
  switch (operator) {
    case "=":
      return (number) => number === wanted;
    case "<":
      return (number) => number < wanted;
    case "<=":
      return (number) => number <= wanted;
    case ">":
      return (number) => number > wanted;
    case ">=":
      return (number) => number >= wanted;
  }
}

function equality<T>(
  name: string,
  field: Exclude<Field<T>, { kind: "number" }>,
  value: string,
  isList: boolean,
): (item: T) => boolean {
  switch (field.kind) {
    case "flag": {
      if (!/^(?:true|false)$/i.test(value))
        throw new FilterError(`\`${name}\` is true or false, not \`${value}\``);
      const wanted = value.toLowerCase() === "true";
      return (item) => field.get(item).includes(wanted);
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
      const matches = isList ? listMatcher(value) : valueMatcher(value);
      return (item) => field.get(item).some(matches);
    }
  }
}

/** Of a map's entry, such as a label: what counts as a number can be compared as one. */
export function compareEntry<T>(
  get: (item: T) => readonly EntryValue[],
  operator: Operator,
  value: string,
  isList: boolean,
): Comparison<T> {
  const shows = (item: T) => get(item).join(", ");
  if (operator === "=" || operator === "!=") {
    const matches = isList ? listMatcher(value) : valueMatcher(value);
    const equal = (item: T) => get(item).some((each) => matches(String(each)));
    return { passes: operator === "=" ? equal : (item) => !equal(item), shows };
  }
  const wanted = Number(value);
  if (!Number.isFinite(wanted)) throw new FilterError(`\`${value}\` is no number to compare with`);
  const holds = order(operator, wanted);
  return { passes: (item) => get(item).some((each) => each !== "" && holds(Number(each))), shows };
}

/** Any of the names of a list such as `n[1-20]`. */
export function listMatcher(list: string): (value: string) => boolean {
  const names = new Set(expandNodes(list));
  return (value) => names.has(value);
}

/** `*` at either end stands for anything; elsewhere it is itself. */
export function valueMatcher(pattern: string): (value: string) => boolean {
  const [open, close] = [pattern.startsWith("*"), pattern.length > 1 && pattern.endsWith("*")];
  const text = pattern.slice(open ? 1 : 0, close ? -1 : undefined);
  if (open && close) return (value) => value.includes(text);
  if (open) return (value) => value.endsWith(text);
  if (close) return (value) => value.startsWith(text);
  return (value) => value === text;
}
