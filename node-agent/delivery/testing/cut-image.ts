// Cuts content into an image as docs/image-format.md says, for tests: small chunks, everything in memory.
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { crc32, zstdCompressSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type Chunk,
  Chunk_Encoding,
  ChunkSchema,
  type Extent,
  ExtentSchema,
  ImageKind,
  type ImageManifest,
  ImageManifestSchema,
  type SignedImageManifest,
  SignedImageManifestSchema,
} from "../../../proto/gen/muster/v1/image_pb.ts";
import { chunkName } from "../../../proto/image/layout.ts";

export type CutOptions = {
  name?: string;
  kind?: ImageKind;
  filesystem?: string;
  rootPartition?: number;
  blockBytes?: number;
  chunkBytes?: number;
  largestExtent?: number;
  smallestExtent?: number;
  /** Of a cut before, whose content is not stored again. */
  store?: Store;
  /** Blocks of zeros that may be left as they are on the target. */
  isFree?: (offset: number) => boolean;
};

export type CutImage = { content: Buffer; manifest: ImageManifest; digest: string };

/** Stored bytes by chunk name, and where content lies in them. */
export class Store {
  readonly stored = new Map<string, Buffer>();
  readonly known = new Map<string, { chunk: Chunk; chunkOffset: number }>();
}

export function cutImage(content: Buffer, options: CutOptions = {}): CutImage {
  const { name = "tiny", kind = ImageKind.FILESYSTEM, store = new Store(), isFree = () => false } = options;
  const { blockBytes = 4096, chunkBytes = 512 << 10, rootPartition = 0, filesystem = "" } = options;
  const { largestExtent = 256 << 10, smallestExtent = 16 << 10 } = options;
  const chunks: Chunk[] = [];
  const extents: Extent[] = [];
  const zeros: { offset: bigint; sizeBytes: bigint }[] = [];
  let fresh: Extent[] = [];
  const indexOf = (chunk: Chunk) => {
    const known = chunks.findIndex((one) => chunkName(one) === chunkName(chunk));
    return known >= 0 ? known : chunks.push(chunk) - 1;
  };
  const flush = () => {
    if (fresh.length === 0) return;
    const bytes = Buffer.concat(
      fresh.map(({ offset, sizeBytes }) => content.subarray(Number(offset), Number(offset) + sizeBytes)),
    );
    const chunk = storeChunk(store, bytes);
    let chunkOffset = 0;
    for (const extent of fresh) {
      extent.chunk = indexOf(chunk);
      extent.chunkOffset = chunkOffset;
      store.known.set(hex(extent.digest), { chunk, chunkOffset });
      chunkOffset += extent.sizeBytes;
    }
    fresh = [];
  };
  const add = (offset: number, end: number) => {
    const digest = sha256(content.subarray(offset, end));
    const extent = create(ExtentSchema, { offset: BigInt(offset), sizeBytes: end - offset, digest });
    extents.push(extent);
    const held = fresh.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const isSame = (one: Extent) => hex(one.digest) === hex(digest);
    if (held + extent.sizeBytes > chunkBytes || fresh.some(isSame)) flush();
    const known = store.known.get(hex(digest));
    if (!known) fresh.push(extent);
    else Object.assign(extent, { chunk: indexOf(known.chunk), chunkOffset: known.chunkOffset });
  };
  let start = -1;
  for (let offset = 0; offset < content.length; offset += blockBytes) {
    const end = Math.min(offset + blockBytes, content.length);
    const block = content.subarray(offset, end);
    const isZero = block.every((byte) => byte === 0);
    if (isZero && start >= 0) add(start, offset);
    if (isZero) {
      start = -1;
      const last = zeros.at(-1);
      const size = BigInt(end - offset);
      if (isFree(offset)) continue;
      if (last && last.offset + last.sizeBytes === BigInt(offset)) last.sizeBytes += size;
      else zeros.push({ offset: BigInt(offset), sizeBytes: size });
      continue;
    }
    if (start < 0) start = offset;
    const isBoundary = end - start >= smallestExtent && (crc32(block) & 15) === 0;
    if (isBoundary || end - start >= largestExtent || end === content.length) {
      add(start, end);
      start = -1;
    }
  }
  flush();
  const manifest = create(ImageManifestSchema, {
    name,
    kind,
    filesystem,
    rootPartition,
    sizeBytes: BigInt(content.length),
    chunkBytes,
    blockBytes,
    chunks,
    extents,
    zeros,
  });
  return { content, manifest, digest: hex(sha256(toBinary(ImageManifestSchema, manifest))) };
}

function storeChunk(store: Store, content: Buffer): Chunk {
  const packed = zstdCompressSync(content);
  const shrinks = packed.length < content.length * 0.97;
  const stored = shrinks ? packed : content;
  const storedDigest = sha256(stored);
  store.stored.set(hex(storedDigest), Buffer.from(stored));
  return create(ChunkSchema, {
    sizeBytes: content.length,
    storedDigest,
    storedBytes: stored.length,
    encoding: shrinks ? Chunk_Encoding.ZSTD : Chunk_Encoding.RAW,
  });
}

/** The key that signs the images of tests. */
export const testKeys = generateKeyPairSync("ed25519");
export const testImageKey = testKeys.publicKey.export({ type: "spki", format: "pem" }).toString();

export function signImage({ manifest }: CutImage, key = testKeys.privateKey): SignedImageManifest {
  const encoded = toBinary(ImageManifestSchema, manifest);
  return create(SignedImageManifestSchema, { manifest: encoded, signature: sign(null, encoded, key) });
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
