// Partial updates: which fields a caller wants to have set, and to what.
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { codes, RpcError } from "../../proto/rpc/status.ts";

/**
 * The fields of `message` that the mask names; without a mask those that are not at their default. `settable` are
 * the names, as in the proto file, of plain fields that may be set; every other path is refused.
 */
export function applyMask<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  mask: FieldMask | undefined,
  settable: readonly string[],
): Partial<MessageShape<Desc>> {
  const paths = mask?.paths ?? settable.filter((name) => fieldOf(schema, message, name));
  const fields = paths.flatMap((path, i) =>
    settable.includes(path)
      ? []
      : [{ field: `updateMask.paths[${i}]`, description: `\`${path.slice(0, 100)}\` cannot be set` }],
  );
  if (fields.length) {
    const which = fields.map(({ description }) => description).join(", ");
    throw new RpcError(codes.INVALID_ARGUMENT, `${which}; what can be is ${settable.join(", ")}`, {
      reason: "INVALID_UPDATE_MASK",
      fields,
    });
  }
  const values = paths.map((path) => [localName(schema, path), fieldOf(schema, message, path)]);
  return Object.fromEntries(values) as Partial<MessageShape<Desc>>;
}

function localName(schema: DescMessage, path: string): string {
  const field = schema.fields.find(({ name }) => name === path);
  if (!field) throw new Error(`${schema.typeName} has no field ${path}`);
  return field.localName;
}

function fieldOf(schema: DescMessage, message: object, path: string): unknown {
  return Reflect.get(message, localName(schema, path));
}
