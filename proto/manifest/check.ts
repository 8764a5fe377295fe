// The rules of the proto files in plain words. Manifests, flags and calls all come through here, so they are
// refused in the same words.
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type Path, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import type { FieldViolation } from "../rpc/status.ts";
import { formatPath, segmentsOf } from "./field-path.ts";

const validator = createValidator();

/** Every rule of the schema that the message breaks; none is an empty list. */
export function checkMessage<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): FieldViolation[] {
  const result = validator.validate(schema, message);
  if (result.kind === "valid") return [];
  // A rule that does not compile is a fault of the proto file, not of the message.
  if (result.kind === "error") throw result.error;
  return result.violations.map((violation) => ({
    field: formatPath(segmentsOf(violation.field)),
    description: describe(violation, valueAt(reflect(schema, message), violation.field)),
  }));
}

/** A value as part of a sentence: short, and without control characters. */
export function quote(value: unknown): string {
  const text = JSON.stringify(String(value)).slice(1, -1).replaceAll('\\"', '"');
  return `\`${text.length > 60 ? `${text.slice(0, 57)}...` : text}\``;
}

function describe(violation: Violation, value: unknown): string {
  const rule = violation.forKey ? `the name ${violation.message}` : inWords(violation, value);
  const shown = violation.forKey ? lastKey(violation.field) : value;
  if (rule === "is missing" || (typeof shown === "object" && shown !== null)) return rule;
  if (shown === undefined || shown === "") return `${rule}; it is missing`;
  return `${rule}; found ${quote(shown)}`;
}

function inWords(violation: Violation, value: unknown): string {
  const { message } = violation;
  const number = message.match(/\d+/)?.[0] ?? "";
  switch (violation.ruleId) {
    case "required":
      return violation.field.at(-1)?.kind === "oneof" ? oneofNames(violation.field) : "is missing";
    case "string.min_len":
      return value === "" ? "is missing" : `has at least ${number} characters`;
    case "string.max_len":
      return `has at most ${number} characters`;
    case "string.pattern":
      return `matches ${message.slice(message.indexOf("`"))}`;
    case "repeated.min_items":
      return `has at least ${number} ${number === "1" ? "item" : "items"}; it has ${sizeOf(value)}`;
    case "repeated.max_items":
      return `has at most ${number} items; it has ${sizeOf(value)}`;
    case "repeated.unique":
      return `has ${quote(firstRepeated(value))} more than once`;
    case "enum.defined_only":
      return "is one of the values of its enum";
    default:
      return comparison(violation.ruleId, message, number);
  }
}

function comparison(ruleId: string, message: string, number: string): string {
  if (ruleId.endsWith(".lte")) return `is at most ${number}`;
  if (ruleId.endsWith(".gte")) return `is at least ${number}`;
  if (ruleId.endsWith(".in")) {
    const allowed = message.slice(message.indexOf("[") + 1, message.lastIndexOf("]"));
    return allowed.includes(",") ? `is one of ${allowed}` : `is ${allowed}`;
  }
  return message;
}

function oneofNames(path: Path): string {
  const oneof = path.at(-1);
  if (oneof?.kind !== "oneof") return "is missing";
  const names = oneof.fields.map((field) => field.jsonName);
  return names.length === 1 ? `needs the field ${names[0]}` : `needs one of the fields ${names.join(", ")}`;
}

function lastKey(path: Path): unknown {
  const last = path.at(-1);
  return last?.kind === "map_sub" ? last.key : undefined;
}

function sizeOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

function firstRepeated(value: unknown): unknown {
  return Array.isArray(value) ? value.find((item, index) => value.indexOf(item) < index) : undefined;
}

// The plain value at a path: a list as an array, a message or a map as an object.
function valueAt(root: ReflectMessage, path: Path): unknown {
  let value: unknown = root.message;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return undefined;
    if (part.kind === "field") value = fieldOf(value, part.localName, part.oneof?.localName);
    else if (part.kind === "list_sub") value = Reflect.get(value, part.index);
    else if (part.kind === "map_sub") value = Reflect.get(value, String(part.key));
  }
  return value;
}

function fieldOf(message: object, name: string, oneof: string | undefined): unknown {
  if (oneof === undefined) return Reflect.get(message, name);
  const chosen: { case?: string; value?: unknown } = Reflect.get(message, oneof);
  return chosen.case === name ? chosen.value : undefined;
}
