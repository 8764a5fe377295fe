// Makes the fields that a filter can ask for: texts, enums, flags and numbers.
import type { Field } from "./match.ts";
import type { Unit } from "./numbers.ts";

type Enum = Readonly<Record<string, number>>;

/** The names of an enum's values, without its zero: `{ READY: 8, … }`. */
function namesOf(values: Enum): string[] {
  return Object.keys(values).filter((name) => name !== "UNSPECIFIED");
}

export function choice<T>(
  about: string,
  values: Enum,
  get: (item: T) => number | readonly number[],
): Field<T> {
  const names = new Map(Object.entries(values).map(([name, value]) => [value, name]));
  return {
    kind: "enum",
    about,
    values: namesOf(values),
    get: (item) => [get(item)].flat().map((value) => names.get(value) ?? ""),
  };
}

export function text<T>(about: string, get: (item: T) => string | undefined | readonly string[]): Field<T> {
  return { kind: "text", about, get: (item) => [get(item) ?? []].flat() };
}

export function flag<T>(about: string, get: (item: T) => boolean | readonly boolean[]): Field<T> {
  return { kind: "flag", about, get: (item) => [get(item)].flat() };
}

/** Sizes are in bytes, speeds in Mbit/s. What is not known has no value. */
export function number<T>(
  about: string,
  unit: Unit,
  get: (item: T) => number | bigint | undefined | readonly (number | bigint)[],
): Field<T> {
  return { kind: "number", about, unit, get: (item) => [get(item) ?? []].flat().map(Number) };
}
