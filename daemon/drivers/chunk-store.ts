// Chunks as files, named by the sha256 of what is in them. A file gets its name only after its content was
// checked, so a file that is there was good once; findBad() says whether it still is.
import { constants } from "node:fs";
import { copyFile, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Chunk, ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { errorCode, syncDirectory, temporaryName } from "./files.ts";
import { ImageError } from "./image-error.ts";

/** Digests in hexadecimal. */
export type BadChunk = {
  expectedDigest: string;
  /** Empty if the chunk is missing. */
  foundDigest: string;
  /** Where in the image its content first goes. */
  offset: bigint;
};

// Enough to keep a disk busy; few enough to leave memory and the event loop alone.
const parallel = 4;

export class ChunkStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async read(storedDigest: Uint8Array): Promise<Uint8Array> {
    const name = Buffer.from(storedDigest).toString("hex");
    try {
      return await readFile(pathIn(this.#directory, name));
    } catch (cause) {
      if (errorCode(cause) !== "ENOENT") throw cause;
      throw new ImageError("DAMAGED", `chunk ${name} is missing from the store; repair the image`, { cause });
    }
  }

  /** Copies the chunks that are not here yet out of a built image's directory. */
  async adopt(chunks: Chunk[], builtImage: string, onProgress?: Progress): Promise<void> {
    await this.#copy(chunks, builtImage, onProgress, async (chunk) => {
      const size = await sizeIfThere(pathIn(this.#directory, chunkName(chunk)));
      return size !== chunk.storedBytes;
    });
  }

  /** As adopt, but over those that are here. */
  async replace(chunks: Chunk[], builtImage: string): Promise<void> {
    await this.#copy(chunks, builtImage, undefined, async () => true);
  }

  /** In the order of `chunks`. */
  async findBad(chunks: Chunk[], onProgress?: Progress): Promise<BadChunk[]> {
    const found = await mapBounded(chunks, onProgress, (chunk) =>
      digestIfThere(pathIn(this.#directory, chunkName(chunk))),
    );
    return chunks
      .map((chunk, i) => ({
        expectedDigest: chunkName(chunk),
        foundDigest: found[i] ?? "",
        offset: chunk.offset,
      }))
      .filter((chunk) => chunk.foundDigest !== chunk.expectedDigest);
  }

  /** The names of those that are not here with their size. Quick: reads none of them. */
  async findWrongSizes(chunks: Chunk[]): Promise<string[]> {
    const sizes = await mapBounded(chunks, undefined, (chunk) =>
      sizeIfThere(pathIn(this.#directory, chunkName(chunk))),
    );
    return chunks.filter((chunk, i) => sizes[i] !== chunk.storedBytes).map(chunkName);
  }

  async #copy(
    chunks: Chunk[],
    builtImage: string,
    onProgress: Progress | undefined,
    isWanted: (chunk: Chunk) => Promise<boolean>,
  ): Promise<void> {
    const touched = new Set<string>();
    await mapBounded(chunks, onProgress, async (chunk) => {
      if (!(await isWanted(chunk))) return;
      const target = pathIn(this.#directory, chunkName(chunk));
      await mkdir(dirname(target), { recursive: true });
      await copyChecked(chunk, pathIn(join(builtImage, "chunks"), chunkName(chunk)), target);
      touched.add(dirname(target));
    });
    for (const directory of touched) await syncDirectory(directory);
    if (touched.size > 0) await syncDirectory(this.#directory);
  }
}

type Progress = (done: number, total: number) => void;

/** The chunks of an image, each once though its content may be used in several places. */
export function uniqueChunks(manifest: ImageManifest): Chunk[] {
  const byName = new Map<string, Chunk>();
  for (const chunk of manifest.chunks) {
    const name = chunkName(chunk);
    if (!byName.has(name)) byName.set(name, chunk);
  }
  return [...byName.values()];
}

export const chunkName = (chunk: Chunk): string => Buffer.from(chunk.storedDigest).toString("hex");

const pathIn = (directory: string, name: string): string => join(directory, name.slice(0, 2), name);

// A copy, never a hard link: what damages the built image must not reach the store. The copy is what is checked.
async function copyChecked(chunk: Chunk, source: string, target: string): Promise<void> {
  const aside = temporaryName(target);
  try {
    await copyFile(source, aside, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
    const bytes = await readFile(aside);
    const found = await sha256(bytes);
    const expected = chunkName(chunk);
    if (found !== expected || bytes.length !== chunk.storedBytes) {
      throw new ImageError(
        "DAMAGED",
        `chunk ${expected} at offset ${chunk.offset}: ${source} has ${bytes.length} bytes with digest ${found}, ` +
          `expected ${chunk.storedBytes} bytes with digest ${expected}; build the image again`,
      );
    }
    await syncFile(aside);
    await rename(aside, target);
  } catch (cause) {
    await rm(aside, { force: true });
    if (errorCode(cause) !== "ENOENT") throw cause;
    const message = `chunk ${chunkName(chunk)} at offset ${chunk.offset}: ${source} is missing; build the image again`;
    throw new ImageError("DAMAGED", message, { cause });
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function sizeIfThere(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function digestIfThere(path: string): Promise<string> {
  try {
    return await sha256(await readFile(path));
  } catch (error) {
    if (errorCode(error) === "ENOENT") return "";
    throw error;
  }
}

// WebCrypto hashes on a thread of its own; the event loop stays free.
async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await crypto.subtle.digest("SHA-256", bytes)).toString("hex");
}

/** Stops taking further items at the first failure, and throws it when those under way have ended. */
async function mapBounded<T, R>(
  items: T[],
  onProgress: Progress | undefined,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const queue = items.entries();
  let done = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const [i, item] of queue) {
      if (failed) return;
      try {
        results[i] = await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
      done++;
      onProgress?.(done, items.length);
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: parallel }, worker));
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure) throw failure.reason;
  return results;
}
