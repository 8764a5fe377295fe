// A small signed image made as `muster image build` makes one, and a daemon's store of it that can go bad.
import { createCipheriv, createHash, generateKeyPairSync, sign } from "node:crypto";
import { mkdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Runner } from "../../node-agent/runner.ts";
import type { ImageSource } from "../../node-agent/step.ts";
import { FetchChunksResponseSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import {
  Chunk_Encoding,
  ChunkSchema,
  type ImageManifest,
  ImageManifestSchema,
  SignedImageManifestSchema,
} from "../../proto/gen/muster/v1/image_pb.ts";

const chunkBytes = 1 << 20;

export type TestImage = {
  content: Buffer;
  manifest: ImageManifest;
  digest: string;
  imageKey: string;
  /** The stored bytes of each chunk: change them to damage the store. */
  stored: Buffer[];
  /** The indexes of every chunk that was fetched, in order. */
  fetched: number[];
  /** Set it to have the manifest signed by somebody else. */
  signature: Uint8Array;
  source: ImageSource;
};

/** An ext4 of `sizeBytes` with some megabytes of files that do and do not compress. */
export async function buildTestImage(run: Runner, directory: string, sizeBytes: number): Promise<TestImage> {
  const tree = join(directory, "tree");
  await mkdir(join(tree, "etc/muster"), { recursive: true });
  await mkdir(join(tree, "var/lib/deep"), { recursive: true });
  await writeFile(join(tree, "etc/muster/bootstrap"), "");
  await writeFile(join(tree, "var/lib/deep/file"), "from the image\n");
  await writeFile(join(tree, "text"), "the same line again and again\n".repeat(200_000));
  await writeFile(join(tree, "noise"), noise(12 << 20));
  const file = join(directory, "image.ext4");
  await writeFile(file, "");
  await truncate(file, sizeBytes);
  await run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", tree, file]);
  return imageOf(await readFile(file));
}

function imageOf(content: Buffer): TestImage {
  const stored: Buffer[] = [];
  const chunks = [];
  for (let offset = 0; offset < content.length; offset += chunkBytes) {
    const piece = content.subarray(offset, offset + chunkBytes);
    if (piece.every((byte) => byte === 0)) continue;
    const packed = zstdCompressSync(piece);
    const shrinks = packed.length < piece.length;
    const bytes = Buffer.from(shrinks ? packed : piece);
    stored.push(bytes);
    chunks.push(
      create(ChunkSchema, {
        offset: BigInt(offset),
        sizeBytes: piece.length,
        digest: sha256(piece),
        storedDigest: sha256(bytes),
        storedBytes: bytes.length,
        encoding: shrinks ? Chunk_Encoding.ZSTD : Chunk_Encoding.RAW,
      }),
    );
  }
  const sizeBytes = BigInt(content.length);
  const manifest = create(ImageManifestSchema, {
    name: "tiny",
    filesystem: "ext4",
    sizeBytes,
    chunkBytes,
    chunks,
  });
  return signedImage(content, manifest, stored);
}

function signedImage(content: Buffer, manifest: ImageManifest, stored: Buffer[]): TestImage {
  const keys = generateKeyPairSync("ed25519");
  const encoded = toBinary(ImageManifestSchema, manifest);
  const image: TestImage = {
    content,
    manifest,
    digest: sha256(encoded).toString("hex"),
    imageKey: keys.publicKey.export({ type: "spki", format: "pem" }).toString(),
    stored,
    fetched: [],
    signature: sign(null, encoded, keys.privateKey),
    source: {
      manifest: async () =>
        create(SignedImageManifestSchema, { manifest: encoded, signature: image.signature }),
      async *chunks(_digest, indexes) {
        for (const index of indexes) {
          image.fetched.push(index);
          yield create(FetchChunksResponseSchema, {
            index,
            content: image.stored[index] ?? new Uint8Array(),
          });
        }
      },
    },
  };
  return image;
}

/** Bytes that do not compress, the same in every run. */
function noise(length: number): Buffer {
  return createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(length));
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
