// The images that are asked for, as far as serving them needs to know them: which chunks they have.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { chunkName } from "../../proto/image/layout.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { errorCode } from "../drivers/files.ts";
import { ImageError } from "../drivers/image-error.ts";
import type { ImageFiles } from "../drivers/image-files.ts";

export type ServedChunk = { name: string; storedBytes: number };

export type ServedImage = {
  digest: string;
  chunks: readonly ServedChunk[];
  /** The same by name. */
  byName: ReadonlyMap<string, ServedChunk>;
  /** Of all its chunks. */
  storedBytes: number;
};

/** An open chunk file of the right size. Whoever has opened it closes it. */
export type OpenChunk = { fd: number; storedBytes: number };

/** Each takes about 200 bytes per chunk: 3 MB for an image of 8 GiB. */
const imagesKept = 16;

export class ServedImages {
  readonly files: ImageFiles;
  // The one used last is the last. What a digest names never changes.
  readonly #kept = new Map<string, Promise<ServedImage | undefined>>();

  constructor(files: ImageFiles) {
    this.files = files;
  }

  /** Undefined if the store has no such image. */
  async find(digest: string): Promise<ServedImage | undefined> {
    const known = this.#kept.get(digest) ?? this.#load(digest);
    this.#kept.delete(digest);
    this.#kept.set(digest, known);
    const [oldest = ""] = this.#kept.keys();
    if (this.#kept.size > imagesKept) this.#kept.delete(oldest);
    return await known;
  }

  async #load(digest: string): Promise<ServedImage | undefined> {
    try {
      const manifest = await this.files.manifest(digest);
      // Most of a manifest is extents, which only the agent needs.
      this.files.forget(digest);
      if (!manifest) {
        this.#kept.delete(digest);
        return undefined;
      }
      const chunks = manifest.chunks.map((chunk) => ({
        name: chunkName(chunk),
        storedBytes: chunk.storedBytes,
      }));
      const byName = new Map(chunks.map((chunk) => [chunk.name, chunk]));
      const storedBytes = chunks.reduce((total, chunk) => total + chunk.storedBytes, 0);
      return { digest, chunks, byName, storedBytes };
    } catch (error) {
      this.#kept.delete(digest);
      throw error instanceof ImageError ? damaged(error.message, error) : error;
    }
  }

  /** Throws DATA_LOSS IMAGE_DAMAGED if the file is not there, or has another size. */
  open({ digest }: ServedImage, { name, storedBytes }: ServedChunk): OpenChunk {
    let fd: number;
    try {
      fd = openSync(this.files.chunkPath(name), "r");
    } catch (cause) {
      if (errorCode(cause) !== "ENOENT") throw cause;
      throw damagedChunk(`chunk ${name} of image ${digest} is missing from the store`);
    }
    const { size } = fstatSync(fd);
    if (size === storedBytes) return { fd, storedBytes };
    closeSync(fd);
    throw damagedChunk(`chunk ${name} of image ${digest} has ${size} bytes in the store, not ${storedBytes}`);
  }
}

/** Reads into all of `target`. What the file has no longer is zeros there: the receiver's check finds out. */
export function readFully(fd: number, target: Uint8Array, position: number): void {
  let done = 0;
  while (done < target.length) {
    const count = readSync(fd, target, done, target.length - done, position + done);
    if (count === 0) {
      target.fill(0, done);
      return;
    }
    done += count;
  }
}

function damagedChunk(what: string): RpcError {
  return damaged(`${what}: run \`muster image repair\` with a good copy of the image`);
}

function damaged(message: string, cause?: Error): RpcError {
  return new RpcError(codes.DATA_LOSS, message, { reason: "IMAGE_DAMAGED", cause });
}
