// An image store with small images of random content, as the data plane finds it on disk.
import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { Chunk_Encoding, ImageKind, ImageManifestSchema } from "../../../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, manifestFile, signatureFile } from "../../../proto/image/layout.ts";

export type StoredImage = {
  digest: string;
  manifest: Uint8Array;
  signature: Uint8Array;
  /** In the order of the manifest. */
  chunks: { name: string; content: Uint8Array; path: string }[];
};

export async function makeStore(): Promise<{ directory: string } & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), "muster-delivery-"));
  return {
    directory,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

export async function storeImage(
  directory: string,
  chunkCount: number,
  chunkBytes = 64 << 10,
): Promise<StoredImage> {
  const chunks = Array.from({ length: chunkCount }, () => {
    const content = randomBytes(chunkBytes);
    const name = sha256(content);
    return { name, content, path: join(directory, chunkFile(name)) };
  });
  for (const { path, content } of chunks) await write(path, content);
  const message = create(ImageManifestSchema, {
    name: "debian",
    kind: ImageKind.FILESYSTEM,
    sizeBytes: BigInt(chunkCount * chunkBytes),
    chunkBytes,
    blockBytes: 4096,
    chunks: chunks.map(({ name }) => ({
      sizeBytes: chunkBytes,
      storedBytes: chunkBytes,
      storedDigest: Buffer.from(name, "hex"),
      encoding: Chunk_Encoding.RAW,
    })),
    extents: chunks.map(({ name }, chunk) => ({
      offset: BigInt(chunk * chunkBytes),
      sizeBytes: chunkBytes,
      digest: Buffer.from(name, "hex"),
      chunk,
    })),
  });
  const manifest = toBinary(ImageManifestSchema, message);
  const signature = randomBytes(64);
  const digest = sha256(manifest);
  await write(join(directory, manifestFile(digest)), manifest);
  await write(join(directory, signatureFile(digest)), signature);
  return { digest, manifest, signature, chunks };
}

async function write(path: string, content: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
