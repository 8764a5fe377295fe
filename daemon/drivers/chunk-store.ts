// Chunks as files, named by the sha256 of what is in them. A file gets its name only after its content was
// checked (chunk-intake.ts), so a file that is there was good once; findBad() says whether it still is.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, chunkName } from "../../proto/image/layout.ts";
import { mapBounded, type Progress } from "./bounded.ts";
import { errorCode } from "./files.ts";

/** What an image wants of the store. */
export type WantedChunk = {
  name: string;
  storedBytes: number;
  /** Where in the image its content first goes. */
  offset: bigint;
};

/** Digests in hexadecimal. */
export type BadChunk = {
  expectedDigest: string;
  /** Empty if the chunk is missing. */
  foundDigest: string;
  /** Where in the image its content first goes. */
  offset: bigint;
};

/** The chunks of an image, each once though its content may be used in several places. */
export function chunksOf(manifest: ImageManifest): WantedChunk[] {
  const offsets = new Map<number, bigint>();
  for (const { chunk, offset } of manifest.extents) if (!offsets.has(chunk)) offsets.set(chunk, offset);
  const byName = new Map<string, WantedChunk>();
  for (const [i, chunk] of manifest.chunks.entries()) {
    const name = chunkName(chunk);
    const offset = offsets.get(i) ?? 0n;
    const known = byName.get(name);
    if (!known || offset < known.offset) byName.set(name, { name, storedBytes: chunk.storedBytes, offset });
  }
  return [...byName.values()];
}

/** In the order of `chunks`. Reads them all. */
export async function findBad(
  store: string,
  chunks: WantedChunk[],
  onProgress?: Progress,
): Promise<BadChunk[]> {
  const found = await mapBounded(chunks, onProgress, (chunk) => digestIfThere(pathOf(store, chunk)));
  return chunks
    .map(({ name, offset }, i) => ({ expectedDigest: name, foundDigest: found[i] ?? "", offset }))
    .filter(({ expectedDigest, foundDigest }) => foundDigest !== expectedDigest);
}

/** Those that are not there with their size. Quick: reads none of them. */
export async function findMissing(store: string, chunks: WantedChunk[]): Promise<WantedChunk[]> {
  const sizes = await mapBounded(chunks, undefined, (chunk) => sizeIfThere(pathOf(store, chunk)));
  return chunks.filter((chunk, i) => sizes[i] !== chunk.storedBytes);
}

export const pathOf = (directory: string, { name }: WantedChunk): string => join(directory, chunkFile(name));

export async function sizeIfThere(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function digestIfThere(path: string): Promise<string> {
  try {
    return await digestOf(await readFile(path));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  }
}

/** WebCrypto hashes on a thread of its own; the event loop stays free. */
export async function digestOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
}
