// What the store has already of an image's former contents: extents by their digest, and the chunks that they
// are in. Only former images of the same name count: a chunk that an unrelated image has by chance would have
// to be moved for a few bytes of it.

import { hash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type Chunk,
  Chunk_Encoding,
  type ImageManifest,
  ImageManifestSchema,
} from "../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, chunkName } from "../proto/image/layout.ts";
import { manifestFault } from "../proto/image/manifest.ts";

export type FormerChunk = {
  chunk: Chunk;
  /** Path of its file. */
  path: string;
};

export type FormerExtent = { stored: FormerChunk; chunkOffset: number };

/** By hexadecimal digest of the content. */
export type FormerContent = Map<string, FormerExtent>;

/** `store`: `STATE/images`. Empty if there is no store yet; manifests that cannot be read do not count. */
export async function formerContent(store: string, name: string): Promise<FormerContent> {
  const content: FormerContent = new Map();
  const chunks = new Map<string, Promise<FormerChunk | undefined>>();
  for (const manifest of await formerManifests(store, name)) {
    const stored = await Promise.all(
      manifest.chunks.map((chunk) => {
        const file = chunkName(chunk);
        const known = chunks.get(file) ?? whole(chunk, join(store, chunkFile(file)));
        chunks.set(file, known);
        return known;
      }),
    );
    for (const extent of manifest.extents) {
      const digest = Buffer.from(extent.digest).toString("hex");
      const chunk = stored[extent.chunk];
      if (chunk && !content.has(digest))
        content.set(digest, { stored: chunk, chunkOffset: extent.chunkOffset });
    }
  }
  return content;
}

/** Newest first: its chunks are the likeliest to be whole in the next image, too. */
async function formerManifests(store: string, name: string): Promise<ImageManifest[]> {
  const directory = join(store, "manifests");
  const files = await readdir(directory).catch(() => []);
  const manifests: ImageManifest[] = [];
  for (const file of files.filter((entry) => /^[0-9a-f]{64}\.binpb$/.test(entry))) {
    const bytes = await readFile(join(directory, file));
    if (hash("sha256", bytes) !== file.slice(0, 64)) continue;
    const manifest = fromBinary(ImageManifestSchema, bytes);
    if (manifest.name === name && !manifestFault(manifest)) manifests.push(manifest);
  }
  const time = ({ buildTime }: ImageManifest) => Number(buildTime?.seconds ?? 0n);
  return manifests.sort((a, b) => time(b) - time(a));
}

async function whole(chunk: Chunk, path: string): Promise<FormerChunk | undefined> {
  const size = await stat(path).then(
    (facts) => facts.size,
    () => -1,
  );
  return size === chunk.storedBytes ? { chunk, path } : undefined;
}

/** The content of a stored chunk. Throws an Error that names the chunk if its file is not what it should be. */
export async function readChunk({ chunk, path }: FormerChunk): Promise<Buffer> {
  const bytes = await readFile(path);
  return openChunk(chunk, bytes, path);
}

/** `where`: the file or address that the bytes are from. */
export function openChunk(chunk: Chunk, bytes: Uint8Array, where: string): Buffer {
  const found = hash("sha256", bytes);
  if (found !== chunkName(chunk)) {
    throw new Error(
      `chunk ${chunkName(chunk)}: ${where} has ${bytes.length} bytes with digest ${found}; ` +
        "`muster image verify` names all that are damaged, `muster image repair` mends them",
    );
  }
  if (chunk.encoding === Chunk_Encoding.RAW) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return zstdDecompressSync(bytes, { maxOutputLength: chunk.sizeBytes });
}
