// Whether a manifest makes sense by itself, before any of its chunks is looked at.
import { Chunk_Encoding, type ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";

const digestBytes = 32;

/** What is wrong with it, in words that follow a file name; undefined if nothing is. */
export function manifestFault(manifest: ImageManifest): string | undefined {
  if (manifest.name === "") return "it has no name";
  if (manifest.chunks.length === 0) return "it has no chunks";
  let end = 0n;
  for (const [i, chunk] of manifest.chunks.entries()) {
    const which = `chunk ${i} at offset ${chunk.offset}`;
    if (chunk.digest.length !== digestBytes) return `${which}: digest is not a sha256`;
    if (chunk.storedDigest.length !== digestBytes) return `${which}: stored_digest is not a sha256`;
    if (chunk.sizeBytes === 0 || chunk.storedBytes === 0) return `${which} is empty`;
    if (chunk.encoding === Chunk_Encoding.UNSPECIFIED) return `${which}: encoding is not given`;
    if (chunk.offset < end) return `${which} overlaps the chunk before it, or comes before it`;
    end = chunk.offset + BigInt(chunk.sizeBytes);
    if (end > manifest.sizeBytes) return `${which} reaches beyond the image's ${manifest.sizeBytes} bytes`;
  }
  return undefined;
}
