// Whether an image's manifest is the one that was asked for, from the hands of the daemon, and makes sense.
import { createHash, verify } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import {
  Chunk_Encoding,
  ImageKind,
  type ImageManifest,
  ImageManifestSchema,
  type SignedImageManifest,
} from "../gen/muster/v1/image_pb.ts";

/** Of a chunk's content. It is held in memory several times over. */
export const chunkBytesMax = 4 << 20;
const digestBytes = 32;
const blockSizes = [512, 4096];

/**
 * Checks signature, then digest (hexadecimal), then that the manifest makes sense.
 * `imageKey`: PEM (SPKI) of the Ed25519 key that signs manifests.
 */
export function openManifest(signed: SignedImageManifest, digest: string, imageKey: string): ImageManifest {
  if (!verify(null, signed.manifest, imageKey, signed.signature)) {
    throw new Error(
      `image ${digest}: the signature of its manifest is not by this cluster's image key. Register the image again.`,
    );
  }
  const found = createHash("sha256").update(signed.manifest).digest("hex");
  if (found !== digest) {
    throw new Error(`image ${digest}: the manifest that was sent is that of ${found}. Retry the step.`);
  }
  const manifest = fromBinary(ImageManifestSchema, signed.manifest);
  const fault = manifestFault(manifest);
  if (fault) throw new Error(`image ${manifest.name} ${digest}: ${fault}. Build the image again.`);
  return manifest;
}

/** What is wrong with a manifest by itself, in words that follow its name; undefined if nothing is. */
export function manifestFault(manifest: ImageManifest): string | undefined {
  if (manifest.name === "") return "it has no name";
  if (manifest.kind === ImageKind.UNSPECIFIED) return "it does not say what kind of image it is";
  if (!blockSizes.includes(manifest.blockBytes)) return `its block size is ${manifest.blockBytes}`;
  if (manifest.chunkBytes > chunkBytesMax) return `its chunks may have more than ${chunkBytesMax} bytes`;
  return chunksFault(manifest) ?? extentsFault(manifest) ?? zerosFault(manifest);
}

function chunksFault({ chunks, chunkBytes }: ImageManifest): string | undefined {
  for (const [i, chunk] of chunks.entries()) {
    if (chunk.storedDigest.length !== digestBytes) return `chunk ${i}: stored_digest is not a sha256`;
    if (chunk.sizeBytes === 0 || chunk.storedBytes === 0) return `chunk ${i} is empty`;
    if (chunk.sizeBytes > chunkBytes) return `chunk ${i} has more content than ${chunkBytes} bytes`;
    if (chunk.storedBytes > chunkBytesMax) return `chunk ${i} is stored in more than ${chunkBytesMax} bytes`;
    const { encoding, sizeBytes, storedBytes } = chunk;
    if (encoding !== Chunk_Encoding.RAW && encoding !== Chunk_Encoding.ZSTD) {
      return `chunk ${i}: encoding ${encoding} is not known here`;
    }
    if (encoding === Chunk_Encoding.RAW && sizeBytes !== storedBytes) {
      return `chunk ${i} is stored as it is, in another size than its own`;
    }
  }
  return undefined;
}

function extentsFault(manifest: ImageManifest): string | undefined {
  const size = manifest.sizeBytes;
  const block = BigInt(manifest.blockBytes);
  let end = 0n;
  for (const [i, extent] of manifest.extents.entries()) {
    const which = `extent ${i} at offset ${extent.offset}`;
    const chunk = manifest.chunks[extent.chunk];
    if (!chunk) return `${which} lies in chunk ${extent.chunk}, which it has not`;
    if (extent.digest.length !== digestBytes) return `${which}: digest is not a sha256`;
    if (extent.sizeBytes === 0) return `${which} is empty`;
    if (extent.chunkOffset + extent.sizeBytes > chunk.sizeBytes) return `${which} goes beyond its chunk`;
    if (extent.offset < end) return `${which} overlaps the one before it, or comes before it`;
    end = extent.offset + BigInt(extent.sizeBytes);
    if (end > size) return `${which} reaches beyond the image's ${size} bytes`;
    const aligned = extent.offset % block === 0n && (end % block === 0n || end === size);
    if (!aligned) return `${which} does not begin and end with a block of ${block} bytes`;
  }
  return undefined;
}

function zerosFault({ zeros, sizeBytes }: ImageManifest): string | undefined {
  let end = 0n;
  for (const zero of zeros) {
    const which = `the range of zeros at offset ${zero.offset}`;
    if (zero.offset < end) return `${which} overlaps the one before it, or comes before it`;
    end = zero.offset + zero.sizeBytes;
    if (end > sizeBytes) return `${which} reaches beyond the image's ${sizeBytes} bytes`;
  }
  return undefined;
}
