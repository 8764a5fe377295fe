// Images for tests, as the image builder leaves them in a directory: one chunk and one extent for each content.
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  Chunk_Encoding,
  ChunkSchema,
  ExtentSchema,
  ImageKind,
  ImageManifestSchema,
} from "../../proto/gen/muster/v1/image_pb.ts";
import { chunkFile } from "../../proto/image/layout.ts";

const blockBytes = 4096;

/** Contents of whole blocks. Those that are equal share a chunk's file, not its place in the manifest. */
export async function writeBuiltImage(
  directory: string,
  contents: readonly Uint8Array[],
  fields: MessageInitShape<typeof ImageManifestSchema> = {},
): Promise<void> {
  let end = 0;
  const extents = contents.map((bytes, chunk) => {
    const offset = BigInt(end);
    end += bytes.length;
    return create(ExtentSchema, { offset, sizeBytes: bytes.length, digest: sha256(bytes), chunk });
  });
  const chunks = contents.map((bytes) =>
    create(ChunkSchema, {
      sizeBytes: bytes.length,
      storedDigest: sha256(bytes),
      storedBytes: bytes.length,
      encoding: Chunk_Encoding.RAW,
    }),
  );
  for (const bytes of contents) {
    const path = join(directory, chunkFile(nameOf(bytes)));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
  const manifest = create(ImageManifestSchema, {
    name: "tiny",
    kind: ImageKind.FILESYSTEM,
    filesystem: "ext4",
    kernelVersion: "6.1.0",
    firmware: ["bios"],
    sizeBytes: BigInt(end),
    chunkBytes: 512 << 10,
    blockBytes,
    chunks,
    extents,
    ...fields,
  });
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "manifest.binpb"), toBinary(ImageManifestSchema, manifest));
}

/** So many blocks with this text in them. */
export function blocks(text: string, count = 1): Buffer {
  return Buffer.alloc(count * blockBytes, text);
}

export const nameOf = (bytes: Uint8Array): string => sha256(bytes).toString("hex");

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
