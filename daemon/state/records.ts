// How records are kept: their keys, and the checksum before every value. It covers the key as well: a record
// that turns up under another name is as damaged as one with other bytes.
//
//   m/NAME                  the head: schema, revision, epoch, census
//   r/NAME                  a Resource; r/event/REVISION for events
//   a/STEP/NUMBER           an Attempt, as a Resource
//   b/FENCE/STEP/NUMBER     empty: attempts in the order in which they began
//   q/ID                    a RequestRecord
//   s/NAME                  a SecretRecord
//   c/REVISION/N            the Nth change of a revision, a WatchResponse
import { crc32 } from "node:zlib";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { AbstractLevel } from "abstract-level";
import type { Attempt } from "../../proto/gen/muster/v1/deployment_pb.ts";
import {
  type Resource,
  ResourceSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "../../proto/gen/muster/v1/watch_pb.ts";
import { resourceName } from "../domain/state.ts";
import { damaged } from "./errors.ts";

export type Database = AbstractLevel<string | Buffer | Uint8Array, string, Uint8Array>;

const checksumBytes = 4;

export function seal(key: string, content: Uint8Array): Uint8Array {
  const value = Buffer.allocUnsafe(checksumBytes + content.length);
  value.writeUInt32BE(checksum(key, content));
  value.set(content, checksumBytes);
  return value;
}

export function unseal(key: string, value: Uint8Array): Uint8Array {
  const content = value.subarray(checksumBytes);
  if (value.length < checksumBytes || sealOf(value) !== checksum(key, content)) {
    throw damaged(`record ${key} is damaged (its checksum is wrong)`);
  }
  return content;
}

/** The checksum that a sealed value begins with. */
export function sealOf(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset).getUint32(0);
}

function checksum(key: string, content: Uint8Array): number {
  return crc32(content, crc32(key));
}

export function decodeRecord<T>(key: string, value: Uint8Array, decode: (content: Uint8Array) => T): T {
  const content = unseal(key, value);
  try {
    return decode(content);
  } catch (cause) {
    throw damaged(`record ${key} is damaged (it cannot be decoded)`, cause);
  }
}

export const asResource = (content: Uint8Array): Resource => fromBinary(ResourceSchema, content);

export const encodeResponse = (response: WatchResponse): Uint8Array =>
  toBinary(WatchResponseSchema, response);

const digits = (value: bigint | number | string, length: number) => `${value}`.padStart(length, "0");

// Events are read back in their order; everything else is found by name.
export function recordKey(resource: Resource): string {
  const { kind } = resource;
  if (kind.case === "event") return eventKey(kind.value.revision);
  return kind.case === "attempt" ? attemptKey(kind.value.name) : `r/${resourceName(resource)}`;
}

export const eventKey = (revision: bigint): string => `r/event/${digits(revision, 19)}`;
export const requestKey = (id: string): string => `q/${id}`;
export const secretKey = (name: string): string => `s/${name}`;

export function changeKey(revision: bigint, part: number): string {
  return `c/${digits(revision, 16)}/${digits(part, 6)}`;
}

/** Of a change. */
export const revisionOf = (key: string): bigint => BigInt(key.split("/")[1] ?? "0");

export function attemptKey(name: string): string {
  return `a/${paddedAttempt(name)}`;
}

/** Sorts by when the attempt began; the rest of it is the key of the attempt. */
export function attemptOrderKey({ fence, name }: Attempt): string {
  return `b/${digits(fence, 16)}/${paddedAttempt(name)}`;
}

export function attemptKeyOf(orderKey: string): string {
  return `a/${orderKey.slice(orderKey.indexOf("/", 2) + 1)}`;
}

function paddedAttempt(name: string): string {
  const slash = name.lastIndexOf("/");
  return `${name.slice(0, slash)}/${digits(name.slice(slash + 1), 6)}`;
}

/** All keys that begin with `prefix`, which ends in a slash. */
export function below(prefix: string): { gt: string; lt: string } {
  return { gt: prefix, lt: `${prefix.slice(0, -1)}0` };
}

type Iteration<T> = { nextv(size: number): Promise<T[]>; close(): Promise<void> };

/** Reads an iterator a thousand entries at a time: several times as fast as one by one. */
export async function* pages<T>(iterator: Iteration<T>): AsyncGenerator<T[]> {
  try {
    for (let page = await iterator.nextv(1000); page.length; page = await iterator.nextv(1000)) yield page;
  } finally {
    await iterator.close();
  }
}
