// A small image as the image builder leaves one: enough chunks that connections break in the middle of them.
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { Chunk_Encoding, ChunkSchema, ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";

export const imageName = "tiny";
const chunkBytes = 64 << 10;
const chunkCount = 12;

export async function writeImage(directory: string): Promise<void> {
  const chunks = [];
  for (let index = 0; index < chunkCount; index++) {
    const content = Buffer.alloc(chunkBytes, index + 1);
    const digest = createHash("sha256").update(content).digest();
    const name = digest.toString("hex");
    await mkdir(join(directory, "chunks", name.slice(0, 2)), { recursive: true });
    await writeFile(join(directory, "chunks", name.slice(0, 2), name), content);
    chunks.push(
      create(ChunkSchema, {
        offset: BigInt(index * chunkBytes),
        sizeBytes: chunkBytes,
        digest,
        storedDigest: digest,
        storedBytes: chunkBytes,
        encoding: Chunk_Encoding.RAW,
      }),
    );
  }
  const manifest = create(ImageManifestSchema, {
    name: imageName,
    filesystem: "ext4",
    sizeBytes: BigInt(chunkBytes * chunkCount),
    chunkBytes,
    chunks,
    kernelVersion: "6.1.0",
    firmware: ["bios"],
  });
  await writeFile(join(directory, "manifest.binpb"), toBinary(ImageManifestSchema, manifest));
}
