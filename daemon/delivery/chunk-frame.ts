// A chunk as it is sent by gRPC: the frame of a FetchChunksResponse, whose content is read from the file straight
// to its place.
import { FetchChunksResponseSchema } from "../../proto/gen/muster/v1/delivery_pb.ts";
import type { Buffers } from "./buffers.ts";
import { framePrefix } from "./grpc-wire.ts";
import { type OpenChunk, readFully } from "./served-images.ts";

const lengthDelimited = 2;
const { index: indexField, content: contentField } = FetchChunksResponseSchema.field;

export function chunkFrame(buffers: Buffers, index: number, { fd, storedBytes }: OpenChunk): Buffer {
  const head = [(contentField.number << 3) | lengthDelimited, ...varint(storedBytes)];
  // A field that has its default value is left out.
  if (index) head.unshift(indexField.number << 3, ...varint(index));
  const prefix = framePrefix(head.length + storedBytes);
  const frame = buffers.take(prefix.length + head.length + storedBytes);
  frame.set(prefix);
  frame.set(head, prefix.length);
  readFully(fd, frame.subarray(prefix.length + head.length), 0);
  return frame;
}

/** Of a number below 2^32. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) | 128);
  bytes.push(left);
  return bytes;
}
