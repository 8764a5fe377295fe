// Makes the bytes of records. A message within a message is, on the wire, its bytes after a field number and a
// length, and fields may come in any order: so what is large and does not change is encoded once.
import { type DescField, type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { DeploymentSchema, PlanSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { type Resource, ResourceSchema, WatchResponseSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { isRunning } from "../domain/schedule.ts";

/** Of messages that are parts of others; nobody modifies a message. */
const encodedParts = new WeakMap<Message, Uint8Array>();

export function encodeResource(resource: Resource): Uint8Array {
  const { kind } = resource;
  if (kind.case === "node" && kind.value.inventory) {
    const rest = toBinary(NodeSchema, { ...kind.value, inventory: undefined });
    const inventory = encodedPart(InventorySchema, kind.value.inventory);
    return within(ResourceSchema.field.node, rest, NodeSchema.field.inventory, inventory);
  }
  if (kind.case === "deployment" && kind.value.plan) {
    const { plan } = kind.value;
    const rest = toBinary(DeploymentSchema, { ...kind.value, plan: undefined });
    const encoded = encodedPart(PlanSchema, plan);
    // The plan of thousands of nodes is large, and this deployment will not change any more.
    if (!isRunning(kind.value)) encodedParts.delete(plan);
    return within(ResourceSchema.field.deployment, rest, DeploymentSchema.field.plan, encoded);
  }
  return toBinary(ResourceSchema, resource);
}

/** The bytes of a WatchResponse that puts a resource, made from those of the resource. */
export function putResponse(revision: bigint, resource: Uint8Array): Uint8Array {
  const { field } = WatchResponseSchema;
  const head = [
    ...varint(field.revision.number << 3),
    ...varint(Number(revision)),
    ...headOf(field.put, resource.length),
  ];
  const bytes = Buffer.allocUnsafe(head.length + resource.length);
  bytes.set(head);
  bytes.set(resource, head.length);
  return bytes;
}

function encodedPart(schema: DescMessage, part: Message): Uint8Array {
  const known = encodedParts.get(part);
  if (known) return known;
  const bytes = toBinary(schema, part);
  encodedParts.set(part, bytes);
  return bytes;
}

/** A message in the field `outer`, made of the bytes of its other fields and those of its field `inner`. */
function within(outer: DescField, rest: Uint8Array, inner: DescField, part: Uint8Array): Uint8Array {
  const innerHead = headOf(inner, part.length);
  const length = rest.length + innerHead.length + part.length;
  const outerHead = headOf(outer, length);
  const bytes = Buffer.allocUnsafe(outerHead.length + length);
  bytes.set(outerHead);
  bytes.set(rest, outerHead.length);
  bytes.set(innerHead, outerHead.length + rest.length);
  bytes.set(part, bytes.length - part.length);
  return bytes;
}

/** What stands before a message of so many bytes. */
function headOf({ number }: DescField, length: number): number[] {
  const lengthDelimited = 2;
  return [...varint((number << 3) | lengthDelimited), ...varint(length)];
}

/** For numbers that a double holds exactly. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
  bytes.push(left);
  return bytes;
}
