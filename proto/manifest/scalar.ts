// One YAML scalar as the value of one field. Nothing is converted silently: a number where text belongs is
// refused, because 0644 or 1.0 would not come back as they were written.
import { create, type DescEnum, ScalarType } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { isAlias, isMap, isScalar, isSeq, type ParsedNode } from "yaml";
import { quote } from "./check.ts";
import { hintFor } from "./suggest.ts";

export type ScalarValue = string | number | bigint | boolean;
export type Read<T> = { ok: true; value: T } | { ok: false; message: string };

export function readScalar(type: ScalarType, node: ParsedNode | null): Read<ScalarValue> {
  switch (type) {
    case ScalarType.STRING:
      return readText(node);
    case ScalarType.BOOL:
      return isScalar(node) && typeof node.value === "boolean"
        ? yes(node.value)
        : expected("true or false", node);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return isScalar(node) && typeof node.value === "number" ? yes(node.value) : expected("a number", node);
    case ScalarType.BYTES:
      return { ok: false, message: "is binary, which cannot be written in a manifest" };
    default:
      return readInteger(type, node);
  }
}

/** YAML's escapes can write half a character, which nothing can store. */
export function isText(text: string): boolean {
  return text.isWellFormed();
}

const notText: Read<never> = {
  ok: false,
  message: "is text; it has half of a surrogate pair, such as \\uD800, which is no character",
};

function readText(node: ParsedNode | null): Read<string> {
  if (!isScalar(node) || node.value === null) return expected("text", node);
  if (typeof node.value === "string") return isText(node.value) ? yes(node.value) : notText;
  const source = node.source ?? String(node.value);
  const meaning = typeof node.value === "number" ? "is a number" : "is not";
  return {
    ok: false,
    message: `is text; ${quote(source)} without quotes ${meaning}: write it in quotes, "${source}"`,
  };
}

function readInteger(type: ScalarType, node: ParsedNode | null): Read<number | bigint> {
  if (!isScalar(node) || typeof node.value !== "number") return expected("a number", node);
  const { value } = node;
  const wide = !fits32.has(type);
  const signed = !unsigned.has(type);
  const max = wide ? Number.MAX_SAFE_INTEGER : signed ? 2 ** 31 - 1 : 2 ** 32 - 1;
  const min = signed ? -max - (wide ? 0 : 1) : 0;
  if (!Number.isInteger(value) || value < min || value > max) {
    return {
      ok: false,
      message: `is a whole number from ${min} to ${max}; found ${quote(node.source ?? value)}`,
    };
  }
  return yes(wide ? BigInt(value) : value);
}

const fits32 = new Set([
  ScalarType.INT32,
  ScalarType.SINT32,
  ScalarType.SFIXED32,
  ScalarType.UINT32,
  ScalarType.FIXED32,
]);
const unsigned = new Set([ScalarType.UINT32, ScalarType.FIXED32, ScalarType.UINT64, ScalarType.FIXED64]);

/** Values are written as `torrent`; the name in the proto file, DELIVERY_TORRENT, is taken as well. */
export function readEnum(desc: DescEnum, node: ParsedNode | null): Read<number> {
  const text = readText(node);
  if (!text.ok) return text;
  const short = ({ localName }: { localName: string }) => localName.toLowerCase();
  const value = desc.values.find((one) => one.name === text.value || short(one) === text.value);
  if (value) return yes(value.number);
  const names = desc.values.filter(({ number }) => number !== 0).map(short);
  return { ok: false, message: `has no value ${quote(text.value)}${hintFor(text.value, names)}` };
}

const duration = /^(?=\d)(?:(\d{1,7})h)?(?:(\d{1,9})m)?(?:(\d{1,11})(?:\.(\d{1,9}))?s)?$/;

export function readDuration(node: ParsedNode | null): Read<Duration> {
  const source = isScalar(node) ? (node.source ?? String(node.value)) : "";
  const parts = duration.exec(source);
  if (!parts) {
    const found = isScalar(node) && node.value !== null ? quote(source) : whatIs(node);
    return { ok: false, message: `is a duration such as 30s, 5m or 1h30m; found ${found}` };
  }
  const [, hours = "0", minutes = "0", seconds = "0", fraction = ""] = parts;
  const total = BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(seconds);
  return yes(create(DurationSchema, { seconds: total, nanos: Number(fraction.padEnd(9, "0")) }));
}

/** A scalar of a value that may have any shape: as YAML has it, if JSON has it too. */
export function readFree(node: ParsedNode | null): Read<string | number | boolean | null> {
  if (node === null) return yes(null);
  if (!isScalar(node)) return expected("a value", node);
  const { value } = node;
  if (value === null || typeof value === "boolean") return yes(value);
  if (typeof value === "string") return isText(value) ? yes(value) : notText;
  const source = node.source ?? String(value);
  if (typeof value !== "number" || !Number.isFinite(value)) {
    return { ok: false, message: `is a number that cannot be stored: write it in quotes, "${source}"` };
  }
  // Digits mean just these: neither 644 for 0644, nor another number because this one is too long.
  const isDigits = /^[-+]?[0-9]+$/.test(source);
  if (!isDigits || source.replace(/^\+/, "") === String(value)) return yes(value);
  return {
    ok: false,
    message: `would be the number ${value}: write ${value}, or "${source}" in quotes for the text`,
  };
}

/** The refusal of a value of the wrong kind. */
export function expected(what: string, node: ParsedNode | null): { ok: false; message: string } {
  return { ok: false, message: `expected ${what}, found ${whatIs(node)}` };
}

function whatIs(node: ParsedNode | null): string {
  if (isMap(node)) return "a map";
  if (isSeq(node)) return "a list";
  if (isAlias(node)) return `*${node.source}, an alias without an anchor before it in its document`;
  if (!isScalar(node) || node.value === null) return "nothing";
  if (typeof node.value === "string") return `the text ${quote(node.value)}`;
  return typeof node.value === "boolean"
    ? quote(node.value)
    : `the number ${quote(node.source ?? node.value)}`;
}

function yes<T>(value: T): Read<T> {
  return { ok: true, value };
}
