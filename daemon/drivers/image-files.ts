// The image store's files, for reading: `manifests/DIGEST.binpb` with its signature, and `chunks/XX/NAME`. It
// needs no key, so the data plane's process opens the same directory with it.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { type ImageManifest, ImageManifestSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { chunkFile, manifestFile, signatureFile } from "../../proto/image/layout.ts";
import { manifestFault } from "../../proto/image/manifest.ts";
import type { ImageReader, SignedManifest } from "../domain/ports.ts";
import { errorCode } from "./files.ts";
import { ImageError } from "./image-error.ts";

// Of encoded manifests; decoded they take some ten times as much. An image of 8 GiB has about 6 MiB of it.
const cachedMax = 16 << 20;

type Cached = { manifest: Promise<ImageManifest | undefined>; bytes: number };

export class ImageFiles implements ImageReader {
  readonly directory: string;
  readonly #cachedMax: number;
  // Immutable by their digest, and asked for with every piece that an agent fetches. The one used last is the
  // last; the one that is being asked for stays, however large.
  readonly #cached = new Map<string, Cached>();

  /** `cacheBytes`: of encoded manifests that are kept decoded. */
  constructor(directory: string, cacheBytes = cachedMax) {
    this.directory = directory;
    this.#cachedMax = cacheBytes;
  }

  async signed(digest: string): Promise<SignedManifest | undefined> {
    checkDigest(digest);
    const manifest = await readIfThere(join(this.directory, manifestFile(digest)));
    const signature = await readIfThere(join(this.directory, signatureFile(digest)));
    return manifest && signature ? { manifest, signature } : undefined;
  }

  /** Throws ImageError DAMAGED if the file is not what it was. */
  async manifest(digest: string): Promise<ImageManifest | undefined> {
    checkDigest(digest);
    const known = this.#cached.get(digest) ?? { manifest: this.#load(digest), bytes: 0 };
    this.#cached.delete(digest);
    this.#cached.set(digest, known);
    return await known.manifest;
  }

  chunkPath(name: string): string {
    checkDigest(name);
    return join(this.directory, chunkFile(name));
  }

  /** For the next one who asks for its manifest the file counts. */
  forget(digest: string): void {
    this.#cached.delete(digest);
  }

  async #load(digest: string): Promise<ImageManifest | undefined> {
    try {
      const path = join(this.directory, manifestFile(digest));
      const bytes = await readIfThere(path);
      if (!bytes) {
        this.forget(digest);
        return undefined;
      }
      const found = sha256(bytes);
      if (found !== digest) {
        const message = `${path} is damaged: its digest is ${found}; register the image again`;
        throw new ImageError("DAMAGED", message);
      }
      const manifest = decodeManifest(bytes, path);
      this.#keep(digest, bytes.length);
      return manifest;
    } catch (error) {
      this.forget(digest);
      throw error;
    }
  }

  #keep(digest: string, bytes: number): void {
    const loaded = this.#cached.get(digest);
    if (loaded) loaded.bytes = bytes;
    let total = 0;
    for (const [other, cached] of [...this.#cached].reverse()) {
      total += cached.bytes;
      if (total > this.#cachedMax && other !== digest) this.forget(other);
    }
  }
}

/** `path` is for the error that says what is wrong with it. */
export function decodeManifest(bytes: Uint8Array, path: string): ImageManifest {
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

export async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

// It becomes part of a path.
function checkDigest(digest: string): void {
  if (/^[0-9a-f]{64}$/.test(digest)) return;
  throw new ImageError("NOT_FOUND", `"${digest}" is not an image digest: 64 hexadecimal digits`);
}
