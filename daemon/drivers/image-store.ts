// Images on the daemon's disk: signed manifests by their digest, and the chunks that they share by theirs. What
// is in the store was checked when it came in; agents check it again.
import { createHash } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { type ImageManifest, ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import type { ImageReader } from "../domain/ports.ts";
import { type BadChunk, ChunkStore, chunkName, uniqueChunks } from "./chunk-store.ts";
import { errorCode, writeFileAtomic } from "./files.ts";
import { ImageError } from "./image-error.ts";
import { manifestFault } from "./manifest-fault.ts";

export type RegisteredImage = { digest: string; manifest: ImageManifest; changed: boolean };
export type VerifiedImage = { checked: number; bad: BadChunk[] };
/** `bad`: the names of chunks that are missing or damaged. */
export type InspectedImage = { chunks: number; read: number; bad: string[] };
export type ChunkProgress = (done: number, total: number) => void;

export class ImageStore implements ImageReader {
  readonly #manifests: string;
  readonly #chunks: ChunkStore;
  readonly #sign: (manifest: Uint8Array) => Uint8Array;
  // Immutable by their digest, and read for every piece that an agent asks for.
  readonly #decoded = new Map<string, ImageManifest>();

  /** `sign`: Ed25519 over a manifest. */
  constructor(directory: string, sign: (manifest: Uint8Array) => Uint8Array) {
    this.#manifests = join(directory, "manifests");
    this.#chunks = new ChunkStore(join(directory, "chunks"));
    this.#sign = sign;
  }

  /** Takes an image that was built into `directory`. Throws ImageError and then knows no new image. */
  async register(directory: string, onProgress?: ChunkProgress): Promise<RegisteredImage> {
    const bytes = await readBuiltManifest(directory);
    const digest = sha256(bytes);
    const manifest = decode(bytes, join(directory, "manifest.binpb"));
    await this.#chunks.adopt(uniqueChunks(manifest), directory, onProgress);
    const changed = await this.#writeSigned(digest, bytes);
    return { digest, manifest, changed };
  }

  async signed(digest: string): Promise<{ manifest: Uint8Array; signature: Uint8Array } | undefined> {
    const path = this.#manifestPath(digest);
    const manifest = await readIfThere(path);
    const signature = await readIfThere(`${path}.sig`);
    return manifest && signature ? { manifest, signature } : undefined;
  }

  async manifest(digest: string): Promise<ImageManifest | undefined> {
    const known = this.#decoded.get(digest);
    if (known) return known;
    const path = this.#manifestPath(digest);
    const bytes = await readIfThere(path);
    if (!bytes) return undefined;
    if (sha256(bytes) !== digest) {
      throw new ImageError(
        "DAMAGED",
        `${path} is damaged: its digest is ${sha256(bytes)}; register the image again`,
      );
    }
    const manifest = decode(bytes, path);
    this.#decoded.set(digest, manifest);
    return manifest;
  }

  async chunk(storedDigest: Uint8Array): Promise<Uint8Array> {
    return await this.#chunks.read(storedDigest);
  }

  /** Reads every chunk of an image and changes nothing. */
  async verify(digest: string, onProgress?: ChunkProgress): Promise<VerifiedImage> {
    const chunks = uniqueChunks(await this.#existing(digest));
    return { checked: chunks.length, bad: await this.#chunks.findBad(chunks, onProgress) };
  }

  /** The sizes of all chunks, and the digests of at most `limit` of them, spread over the image. */
  async inspect(digest: string, limit: number): Promise<InspectedImage> {
    const chunks = uniqueChunks(await this.#existing(digest));
    const wrongSizes = await this.#chunks.findWrongSizes(chunks);
    const stride = Math.max(1, Math.ceil(chunks.length / limit));
    const read = chunks.filter((_, i) => i % stride === 0);
    const bad = (await this.#chunks.findBad(read)).map(({ expectedDigest }) => expectedDigest);
    return { chunks: chunks.length, read: read.length, bad: [...new Set([...wrongSizes, ...bad])] };
  }

  /** Replaces missing and damaged chunks with those in `directory`. Returns how many. */
  async repair(digest: string, directory: string): Promise<number> {
    const chunks = uniqueChunks(await this.#existing(digest));
    const bad = new Set((await this.#chunks.findBad(chunks)).map((chunk) => chunk.expectedDigest));
    const toReplace = chunks.filter((chunk) => bad.has(chunkName(chunk)));
    await this.#chunks.replace(toReplace, directory);
    return toReplace.length;
  }

  async #existing(digest: string): Promise<ImageManifest> {
    const manifest = await this.manifest(digest);
    if (!manifest)
      throw new ImageError("NOT_FOUND", `there is no image ${digest} in the store; register it first`);
    return manifest;
  }

  // The manifest comes last: an image is there when its manifest is.
  async #writeSigned(digest: string, bytes: Uint8Array): Promise<boolean> {
    const stored = await this.signed(digest);
    const signature = this.#sign(bytes);
    if (stored && same(stored.manifest, bytes) && same(stored.signature, signature)) return false;
    await mkdir(this.#manifests, { recursive: true });
    const path = this.#manifestPath(digest);
    await rm(path, { force: true });
    await writeFileAtomic(`${path}.sig`, signature);
    await writeFileAtomic(path, bytes);
    return true;
  }

  #manifestPath(digest: string): string {
    if (!/^[0-9a-f]{64}$/.test(digest)) {
      throw new ImageError("NOT_FOUND", `"${digest}" is not an image digest: 64 hexadecimal digits`);
    }
    return join(this.#manifests, `${digest}.binpb`);
  }
}

async function readBuiltManifest(directory: string): Promise<Uint8Array> {
  const path = join(directory, "manifest.binpb");
  const bytes = await readIfThere(path);
  if (!bytes) {
    throw new ImageError(
      "NOT_FOUND",
      `${path}: no such file; give the directory that "muster image build" wrote`,
    );
  }
  return bytes;
}

function decode(bytes: Uint8Array, path: string): ImageManifest {
  let manifest: ImageManifest;
  try {
    manifest = fromBinary(ImageManifestSchema, bytes);
  } catch (cause) {
    throw new ImageError("DAMAGED", `${path} is not an image manifest; build the image again`, { cause });
  }
  const fault = manifestFault(manifest);
  if (fault) throw new ImageError("DAMAGED", `${path}: ${fault}; build the image again`);
  return manifest;
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
