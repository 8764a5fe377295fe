// From a chunk's stored bytes to its content: verified before it is decoded, as a decoder is no place for input
// that nobody has checked.
import { hash } from "node:crypto";
import type { Decoder } from "./decoder.ts";
import { SourceFault } from "./faults.ts";
import type { WantedChunk } from "./fetcher.ts";

/** Throws SourceFault if these are not the bytes that the chunk is named after. */
export function verifyStored({ index, name, storedBytes }: WantedChunk, stored: Uint8Array): void {
  const found = hash("sha256", stored, "hex");
  if (found === name) return;
  const size = stored.length === storedBytes ? "" : ` (${stored.length} bytes, not ${storedBytes})`;
  const message = `expected sha256 ${name}, found ${found}${size}`;
  throw new SourceFault({ kind: "wrong", message, chunk: index, found });
}

/**
 * Puts the content of verified bytes into `room`, of which they may be the beginning only where they are stored as they
 * are. Throws if the manifest does not fit them, which no other source can help.
 */
export function decode(
  { index, isPacked, sizeBytes }: WantedChunk,
  stored: Uint8Array,
  room: Uint8Array,
  decoder: Decoder,
): void {
  if (!isPacked) {
    if (stored.buffer !== room.buffer) room.set(stored);
    return;
  }
  try {
    decoder.decode(stored, room, sizeBytes);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `chunk ${index} does not decode to ${sizeBytes} bytes, as its manifest says: ${why}. Build the image again.`,
    );
  }
}
