// Requests as nobody would write them: random values for every field of a message, and its bytes damaged.
import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";

/** Names that are there, so that calls get past the first look-up, and some that lead elsewhere. */
const names = [
  ...[
    "n1",
    "n2",
    "demo",
    "demo-1",
    "debian",
    "role/compute",
    "task/join",
    "scheme/raid1-lvm",
    "mirror/rack1",
  ],
  ...["demo-1/n1/image", "demo/n1/bootstrap/1", "n1/image", "image", "node/n1", "state = READY", "n1 AND n2"],
  ...["../../etc/passwd", "/", "/etc", "..", "%00", "\u0000", "__proto__", "constructor", "*", "0", "1", ""],
  ...[
    "x".repeat(300),
    "é".repeat(20_000),
    "kind: Node\nname: n9\nmacs: ['52:54:00:00:00:09']\n",
    "{",
    "- a\n-",
  ],
];

const text = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...names) },
  {
    weight: 1,
    arbitrary: fc.string({ unit: "binary", maxLength: 40 }).filter((value) => value.isWellFormed()),
  },
);
const small = fc.oneof(fc.integer({ min: -2, max: 12 }), fc.constantFrom(-(2 ** 31), 2 ** 31 - 1));
const unsigned = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(2 ** 32 - 1));
const wide = fc.oneof(fc.bigInt({ min: -3n, max: 12n }), fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n));
const wideUnsigned = fc.oneof(fc.bigInt({ min: 0n, max: 12n }), fc.constant(2n ** 64n - 1n));

const deepest = 4;

/** The bytes of a random message. */
export function encoded(schema: DescMessage): fc.Arbitrary<Uint8Array> {
  return message(schema, 0).map((value) => toBinary(schema, create(schema, value)));
}

/** The bytes of a random message, changed here and there, cut, or doubled. */
export function damaged(schema: DescMessage): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });
  return fc
    .record({
      bytes: encoded(schema),
      changes: fc.array(change, { minLength: 1, maxLength: 4 }),
      cut: fc.nat(),
      twice: fc.boolean(),
    })
    .map(({ bytes, changes, cut, twice }) => {
      const copy = Buffer.concat(twice ? [bytes, bytes] : [bytes]);
      for (const { at, byte } of changes) if (copy.length) copy[at % copy.length] = byte;
      return copy.subarray(0, copy.length - (cut % 3));
    });
}

export const noise = fc.uint8Array({ minLength: 1, maxLength: 200 });

function message(schema: DescMessage, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const choices = schema.members.map((member) => {
    if (member.kind === "field")
      return fc.option(anyOf(member, depth), { nil: undefined }).map((value) => [member.localName, value]);
    const cases = member.fields.map((field) =>
      anyOf(field, depth).map((value) => ({ case: field.localName, value })),
    );
    return fc.option(fc.oneof(...cases), { nil: undefined }).map((value) => [member.localName, value]);
  });
  return fc
    .tuple(...choices)
    .map((entries) => Object.fromEntries(entries.filter(([, value]) => value !== undefined)));
}

function anyOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const many = { maxLength: 3 };
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "enum":
      return small;
    case "message":
      return nested(field.message, depth);
    case "list":
      if (field.listKind === "scalar") return fc.array(scalar(field.scalar), many);
      return field.listKind === "enum" ? fc.array(small, many) : fc.array(nested(field.message, depth), many);
    case "map":
      return fc.dictionary(fc.constantFrom(...names.slice(0, 8)), text, { maxKeys: 3 });
  }
}

function nested(schema: DescMessage, depth: number): fc.Arbitrary<Record<string, unknown>> {
  return depth < deepest ? message(schema, depth + 1) : fc.constant({});
}

function scalar(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 40 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return fc.constantFrom(0, -1, Number.NaN, Number.POSITIVE_INFINITY);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return unsigned;
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return wideUnsigned;
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return wide;
    default:
      return small;
  }
}
