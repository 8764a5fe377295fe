// The answers of DeliveryService.FetchChunks, taken apart as they come: a chunk's bytes go where they belong without
// being put together first. Knows FetchChunksResponse of delivery.proto: an index, then the content.
import { SourceFault } from "./faults.ts";

/** gRPC's own: whether it is compressed, and how long the message is. */
const prefixBytes = 5;
/** Prefix, a tag and number for the index, a tag and length for the content. */
const headLimit = prefixBytes + 2 * 6;
const indexTag = 0x08;
const contentTag = 0x12;

export type MessageHead = { index: number; contentBytes: number };

/** Collects the beginning of one message. */
export class HeadReader {
  readonly #bytes = Buffer.alloc(headLimit);
  #filled = 0;

  /** The head when it is complete, and what follows it. Throws SourceFault. */
  read(bytes: Buffer): { head: MessageHead; rest: Buffer } | undefined {
    const before = this.#filled;
    this.#filled += bytes.copy(this.#bytes, before);
    const parsed = parse(this.#bytes.subarray(0, this.#filled));
    if (!parsed) {
      if (this.#filled === headLimit) throw notUnderstood("it begins in an unknown way");
      return undefined;
    }
    this.#filled = 0;
    return { head: parsed.head, rest: bytes.subarray(parsed.length - before) };
  }
}

function parse(bytes: Buffer): { head: MessageHead; length: number } | undefined {
  if (bytes.length < prefixBytes) return undefined;
  if (bytes[0] !== 0) throw notUnderstood("it is compressed");
  const messageBytes = bytes.readUInt32BE(1);
  let at = prefixBytes;
  let index = 0;
  if (bytes[at] === indexTag) {
    const number = varint(bytes, at + 1);
    if (!number) return undefined;
    index = number.value;
    at = number.end;
  }
  if (at >= bytes.length) return undefined;
  if (bytes[at] !== contentTag) throw notUnderstood("it has no content");
  const size = varint(bytes, at + 1);
  if (!size) return undefined;
  if (size.end + size.value !== prefixBytes + messageBytes)
    throw notUnderstood("there is more than its content");
  return { head: { index, contentBytes: size.value }, length: size.end };
}

function varint(bytes: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = start; at < Math.min(bytes.length, start + 5); at++) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (at - start));
    if (byte < 0x80) return { value, end: at + 1 };
  }
  return undefined;
}

function notUnderstood(why: string): SourceFault {
  return new SourceFault({ kind: "missing", message: `a message of it is not understood: ${why}` });
}
