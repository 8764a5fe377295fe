// Whether an image is the one that a step names, from the hands of the daemon, and sound.
import { createHash, verify } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type ImageManifest,
  ImageManifestSchema,
  type SignedImageManifest,
} from "../../proto/gen/muster/v1/image_pb.ts";

/** A chunk is held in memory several times over; the builder makes them of 1 MiB. */
const chunkBytesMax = 4 << 20;

/** Checks signature, then digest, then that the chunks lie within the image. */
export function openManifest(signed: SignedImageManifest, digest: string, imageKey: string): ImageManifest {
  if (!verify(null, signed.manifest, imageKey, signed.signature)) {
    throw new Error(
      `image ${digest}: the signature of its manifest is not by this cluster's image key. Register the image again.`,
    );
  }
  const found = createHash("sha256").update(signed.manifest).digest("hex");
  if (found !== digest) {
    throw new Error(`image ${digest}: the daemon sent the manifest of ${found} instead. Retry the step.`);
  }
  const manifest = fromBinary(ImageManifestSchema, signed.manifest);
  for (const chunk of manifest.chunks) {
    const end = chunk.offset + BigInt(chunk.sizeBytes);
    if (end > manifest.sizeBytes || chunk.sizeBytes > chunkBytesMax || chunk.storedBytes > chunkBytesMax) {
      throw new Error(
        `image ${manifest.name}: its chunk at offset ${chunk.offset} is larger than ${chunkBytesMax} bytes or ` +
          "lies outside the image. Build the image again.",
      );
    }
  }
  return manifest;
}
