// Reads a YAML map as a message, led by the message's descriptor. It goes on after a fault, so that an
// operator sees all of them at once, and it remembers where every value stands.
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { type ReflectList, type ReflectMap, type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { DurationSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { type Document, isAlias, isMap, isScalar, isSeq, type ParsedNode, type YAMLMap } from "yaml";
import { quote } from "./check.ts";
import { formatPath, type Segment } from "./field-path.ts";
import type { Positions } from "./positions.ts";
import {
  expected,
  isText,
  type Read,
  readDuration,
  readEnum,
  readFree,
  readScalar,
  type ScalarValue,
} from "./scalar.ts";
import { hintFor } from "./suggest.ts";

export type Misread = { offset: number; path: string; message: string };

/** A place in the document: its path, and the tree of positions at it. */
type Place = { path: readonly Segment[]; positions: Positions };
type Entry = { key: string; keyOffset: number; value: ParsedNode | null; valueOffset: number };

// Aliases can make a small file a huge document; no manifest that people write comes near this.
const maxValues = 100_000;
// An anchor can stand within itself.
const deepest = 50;
const reservedName = "cannot be used as a name; choose another";

export class MessageReader {
  readonly faults: Misread[] = [];
  readonly #document: Document.Parsed;
  #values = 0;

  constructor(document: Document.Parsed) {
    this.#document = document;
  }

  /** Reads the fields of a map; `ignore` are keys that are not fields. */
  read(
    desc: DescMessage,
    map: YAMLMap.Parsed,
    positions: Positions,
    ignore: readonly string[] = [],
  ): Message {
    return this.#message(desc, map, { path: [], positions }, ignore).message;
  }

  /** The pairs of a map, with a fault for each key that is not text or that is there twice. */
  entries(map: YAMLMap.Parsed, path: readonly Segment[] = []): Entry[] {
    const entries: Entry[] = [];
    const seen = new Set<string>();
    for (const pair of map.items) {
      const key = this.#resolve(pair.key);
      const keyOffset = pair.key.range[0];
      const name = isScalar(key) ? (key.source ?? String(key.value)) : "";
      if (!isScalar(key) || !isText(name)) this.#fault(keyOffset, path, "a key must be text");
      else if (name === "<<") {
        this.#fault(
          keyOffset,
          path,
          "`<<` (merge) is not supported; write the fields out, or use *alias as a value",
        );
      } else if (seen.has(name))
        this.#fault(keyOffset, [...path, name], "is given twice; remove one of the two");
      else
        entries.push({
          key: name,
          keyOffset,
          value: pair.value,
          valueOffset: offsetOf(pair.value, keyOffset),
        });
      seen.add(name);
    }
    return entries;
  }

  #message(
    desc: DescMessage,
    map: YAMLMap.Parsed,
    place: Place,
    ignore: readonly string[] = [],
  ): ReflectMessage {
    const message = reflect(desc);
    const given = new Map<string, string>();
    for (const entry of this.entries(map, place.path)) {
      if (ignore.includes(entry.key)) continue;
      const field = desc.fields.find(({ jsonName, name }) => jsonName === entry.key || name === entry.key);
      if (field === undefined) {
        this.#unknown(desc, entry, place.path);
        continue;
      }
      const path = [...place.path, field.jsonName];
      const rival = given.get(field.oneof?.name ?? field.name);
      given.set(field.oneof?.name ?? field.name, entry.key);
      if (rival !== undefined) this.#fault(entry.keyOffset, path, clash(field, rival));
      else
        this.#field(message, field, entry, {
          path,
          positions: place.positions.add(field.jsonName, entry.valueOffset),
        });
    }
    return message;
  }

  #unknown(desc: DescMessage, entry: Entry, path: readonly Segment[]): void {
    const fields = desc.fields.map((field) => field.jsonName);
    const snake = desc.fields.map((field) => field.name);
    const hint = hintFor(entry.key, [...fields, ...snake], fields);
    this.#fault(entry.keyOffset, [...path, entry.key], `there is no such field${hint}`);
  }

  #field(message: ReflectMessage, field: DescField, entry: Entry, place: Place): void {
    const node = this.#resolve(entry.value);
    if (field.fieldKind === "list") {
      const list = message.get(field);
      if (isSeq<ParsedNode>(node)) this.#list(list, node.items, place);
      else this.#fault(entry.valueOffset, place.path, expected("a list", node).message);
    } else if (field.fieldKind === "map") {
      const map = message.get(field);
      if (isMap(node)) this.#map(map, node as YAMLMap.Parsed, place);
      else this.#fault(entry.valueOffset, place.path, expected("a map", node).message);
    } else {
      this.#put(this.#value(field, node, place), entry.valueOffset, place, (value) =>
        message.set(field, value),
      );
    }
  }

  #list(list: ReflectList, items: ParsedNode[], parent: Place): void {
    for (const [index, item] of items.entries()) {
      const offset = offsetOf(item, parent.positions.offset);
      const place = { path: [...parent.path, index], positions: parent.positions.add(index, offset) };
      if (this.#values > maxValues) return;
      this.#put(this.#value(list.field(), this.#resolve(item), place), offset, place, (value) =>
        list.add(value),
      );
    }
  }

  #map(map: ReflectMap, pairs: YAMLMap.Parsed, parent: Place): void {
    for (const { key, value, valueOffset } of this.entries(pairs, parent.path)) {
      const place = { path: [...parent.path, key], positions: parent.positions.add(key, valueOffset) };
      const read = this.#value(map.field(), this.#resolve(value), place);
      // A JavaScript object would lose this key silently.
      if (key === "__proto__") this.#fault(valueOffset, place.path, reservedName);
      this.#put(read, valueOffset, place, (item) => map.set(key, item));
    }
  }

  #value(field: DescField, node: ParsedNode | null, place: Place): Read<ReflectMessage | ScalarValue> {
    if (field.message !== undefined) return this.#submessage(field.message, node, place);
    if (field.enum !== undefined) return readEnum(field.enum, node);
    if (field.scalar !== undefined) return readScalar(field.scalar, node);
    return expected("a value", node);
  }

  #submessage(desc: DescMessage, node: ParsedNode | null, place: Place): Read<ReflectMessage> {
    if (desc.typeName === DurationSchema.typeName) {
      const duration = readDuration(node);
      return duration.ok ? { ok: true, value: reflect(DurationSchema, duration.value) } : duration;
    }
    if (desc.typeName === ValueSchema.typeName) {
      const free = this.#free(node, place, 0);
      return free.ok ? { ok: true, value: reflect(ValueSchema, fromJson(ValueSchema, free.value)) } : free;
    }
    if (!isMap(node)) return expected("a map", node);
    return { ok: true, value: this.#message(desc, node as YAMLMap.Parsed, place) };
  }

  /** A value of any shape. What is wrong within it has its own place; what is read of it then is not stored. */
  #free(node: ParsedNode | null, place: Place, depth: number): Read<JsonValue> {
    if (depth > deepest) return { ok: false, message: `is nested more than ${deepest} times` };
    if (isSeq<ParsedNode>(node)) {
      const items = node.items.map((item, index) =>
        this.#within(item, offsetOf(item, place.positions.offset), index, place, depth),
      );
      return { ok: true, value: items };
    }
    if (!isMap(node)) return readFree(node);
    const fields: JsonObject = {};
    for (const { key, value, valueOffset } of this.entries(node as YAMLMap.Parsed, place.path)) {
      // A JavaScript object would lose this key silently.
      if (key === "__proto__") this.#fault(valueOffset, [...place.path, key], reservedName);
      fields[key] = this.#within(value, valueOffset, key, place, depth);
    }
    return { ok: true, value: fields };
  }

  #within(
    item: ParsedNode | null,
    offset: number,
    segment: Segment,
    parent: Place,
    depth: number,
  ): JsonValue {
    if (this.#values > maxValues) return null;
    const place = { path: [...parent.path, segment], positions: parent.positions.add(segment, offset) };
    let found: JsonValue = null;
    this.#put(this.#free(this.#resolve(item), place, depth + 1), offset, place, (value) => {
      found = value;
    });
    return found;
  }

  #put<T>(read: Read<T>, offset: number, place: Place, store: (value: T) => void): void {
    this.#values++;
    if (!read.ok) this.#fault(offset, place.path, read.message);
    else if (this.#values <= maxValues) store(read.value);
    else if (this.#values === maxValues + 1) {
      this.#fault(offset, place.path, `the document has more than ${maxValues} values`);
    }
  }

  // An alias without an anchor stays what it is, and is refused as a value of the wrong kind.
  #resolve(node: ParsedNode | null): ParsedNode | null {
    if (!isAlias(node)) return node;
    return (node.resolve(this.#document) as ParsedNode | undefined) ?? node;
  }

  #fault(offset: number, path: readonly Segment[], message: string): void {
    this.faults.push({ offset, path: formatPath(path), message });
  }
}

function clash(field: DescField, rival: string): string {
  if (field.oneof === undefined)
    return `is given twice, the other time as \`${rival}\`; remove one of the two`;
  const names = field.oneof.fields.map(({ jsonName }) => jsonName);
  return `cannot stand beside ${quote(rival)}; keep one of ${names.join(", ")}`;
}

// A value that was left out stands where its key stands.
function offsetOf(node: ParsedNode | null, keyOffset: number): number {
  if (node === null || (isScalar(node) && node.value === null && !node.source)) return keyOffset;
  return node.range[0];
}
