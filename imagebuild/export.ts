// `muster image export`: an image of the store as the file that it was made from, every chunk and extent checked.
import { hash } from "node:crypto";
import { once } from "node:events";
import { open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { fromBinary } from "@bufbuild/protobuf";
import { ImageKind, type ImageManifest, ImageManifestSchema } from "../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, chunkName, manifestFile } from "../proto/image/layout.ts";
import { manifestFault } from "../proto/image/manifest.ts";
import { RefusedError } from "./errors.ts";
import { readChunk } from "./former.ts";
import { runTool } from "./tools.ts";

export type Format = "raw" | "qcow2" | "tar";

export type ExportOptions = { signal: AbortSignal; onProgress?: (done: number, total: number) => void };

/** Throws an Error if the stored manifest is not that of the digest. */
export async function storedManifest(store: string, digest: string): Promise<ImageManifest> {
  const path = join(store, manifestFile(digest));
  const bytes = await readFile(path);
  if (hash("sha256", bytes) !== digest)
    throw new Error(`${path} is damaged; import or build the image again`);
  const manifest = fromBinary(ImageManifestSchema, bytes);
  const fault = manifestFault(manifest);
  if (fault) throw new Error(`${path}: ${fault}; import or build the image again`);
  return manifest;
}

/** Throws RefusedError if an image of that kind has no such form. */
export function formatOf(kind: ImageKind, asked: string | undefined): Format {
  const fitting: Format[] = kind === ImageKind.TREE ? ["tar"] : ["raw", "qcow2"];
  const format = fitting.find((one) => one === (asked ?? fitting[0]));
  if (!format) throw new RefusedError(`it can only be exported as ${fitting.join(" or ")}, not as ${asked}`);
  return format;
}

/** Writes the file whole or not at all; what reads as zeros takes no room in it. */
export async function exportImage(
  store: string,
  manifest: ImageManifest,
  target: { path: string; format: Format },
  options: ExportOptions,
): Promise<void> {
  const aside = `${target.path}.new`;
  const raw = target.format === "qcow2" ? `${target.path}.raw.new` : aside;
  try {
    const file = await open(raw, "w");
    try {
      for await (const { offset, content } of verified(store, manifest, options)) {
        for (let done = 0; done < content.length; ) {
          done += (await file.write(content, done, content.length - done, offset + done)).bytesWritten;
        }
      }
      await file.truncate(Number(manifest.sizeBytes));
      await file.sync();
    } finally {
      await file.close();
    }
    if (raw !== aside) {
      await runTool("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, aside], {
        signal: options.signal,
      });
    }
    await rename(aside, target.path);
  } finally {
    await rm(aside, { force: true });
    await rm(raw, { force: true });
  }
}

/** The same as a stream, zeros and all. */
export async function exportStream(
  store: string,
  manifest: ImageManifest,
  output: Writable,
  options: ExportOptions,
): Promise<void> {
  const write = async (bytes: Uint8Array) => {
    if (!output.write(bytes)) await once(output, "drain", { signal: options.signal });
  };
  const noughts = Buffer.alloc(1 << 20);
  let position = 0;
  const zerosTo = async (offset: number) => {
    for (; position < offset; position += Math.min(noughts.length, offset - position)) {
      await write(noughts.subarray(0, Math.min(noughts.length, offset - position)));
    }
  };
  for await (const { offset, content: bytes } of verified(store, manifest, options)) {
    await zerosTo(offset);
    await write(bytes);
    position += bytes.length;
  }
  await zerosTo(Number(manifest.sizeBytes));
}

/** Chunks that are kept, decoded: content that is in an image twice, or moved, is in chunks further back. */
const keptChunks = 16;

/** The extents in order. Throws an Error that names a chunk or extent that is not what the manifest says. */
async function* verified(
  store: string,
  manifest: ImageManifest,
  { signal, onProgress }: ExportOptions,
): AsyncGenerator<{ offset: number; content: Buffer }> {
  const kept = new Map<number, Buffer>();
  for (const extent of manifest.extents) {
    signal.throwIfAborted();
    const chunk = manifest.chunks[extent.chunk];
    if (!chunk) throw new Error(`the extent at ${extent.offset} is in no chunk`);
    const opened =
      kept.get(extent.chunk) ?? (await readChunk({ chunk, path: join(store, chunkFile(chunkName(chunk))) }));
    kept.delete(extent.chunk);
    kept.set(extent.chunk, opened);
    if (kept.size > keptChunks) kept.delete(kept.keys().next().value ?? -1);
    const bytes = opened.subarray(extent.chunkOffset, extent.chunkOffset + extent.sizeBytes);
    if (!Buffer.from(hash("sha256", bytes), "hex").equals(extent.digest)) {
      throw new Error(
        `chunk ${chunkName(chunk)} does not hold what belongs at ${extent.offset}; build the image again`,
      );
    }
    yield { offset: Number(extent.offset), content: bytes };
    onProgress?.(Number(extent.offset) + bytes.length, Number(manifest.sizeBytes));
  }
}
