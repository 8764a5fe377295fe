// Packs extents into chunks: what is new is put together in the order in which it comes, compressed, and stored
// under the digest of what is stored. What the image or a former one has already is only referred to.
import { hash } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { constants, zstdCompress, zstdCompressSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import {
  type Chunk,
  Chunk_Encoding,
  ChunkSchema,
  type Extent,
  ExtentSchema,
} from "../proto/gen/muster/v1/image_pb.ts";
import { chunkFile } from "../proto/image/layout.ts";
import { type FormerChunk, type FormerContent, readChunk } from "./former.ts";

export const chunkBytes = 512 << 10;
const compressionLevel = 3;
/** A chunk that zstd does not make smaller than this part of it is stored as it is. */
const worthwhile = 0.97;
/** A former chunk of which less than this part is still used is not worth moving. */
const usedEnough = 0.5;
/** Chunks in the thread pool at once: it has 4 threads, and they keep pace with the one that reads and digests. */
const lanes = 4;
/** Chunks that wait for a lane when more content is taken: the bound of memory, besides those of one read. */
const waiting = 4;

export type Packed = {
  /** In the order in which the extents name them. */
  chunks: Chunk[];
  extents: Extent[];
  counts: PackCounts;
};

/** In bytes. */
export type PackCounts = {
  /** Of all extents. */
  content: number;
  /** Of those that were stored, before and after compression. */
  fresh: number;
  stored: number;
  /** Of those that were stored although a former image has them, since little else of their chunks is used. */
  again: number;
};

/** Where an extent's content is. */
type Place = { chunk: Storing | FormerChunk; chunkOffset: number; size: number };
type Storing = { chunk?: Chunk };
type Full = { entry: Storing; content: Buffer; size: number };

export class Packer {
  readonly #directory: string;
  readonly #former: FormerContent;
  readonly #places = new Map<string, Place>();
  readonly #extents: { offset: number; size: number; digest: string; place: Place }[] = [];
  readonly #queue: Full[] = [];
  readonly #lanes = new Set<Promise<void>>();
  #working = 0;
  readonly #spare: Buffer[] = [];
  #wake: (() => void) | undefined;
  readonly #counts: PackCounts = { content: 0, fresh: 0, stored: 0, again: 0 };
  #open: Full | undefined;
  #failure: { cause: unknown } | undefined;

  /** Writes `<directory>/chunks/XX/NAME`. */
  constructor(directory: string, former: FormerContent) {
    this.#directory = directory;
    this.#former = former;
  }

  get counts(): Readonly<PackCounts> {
    return this.#counts;
  }

  /** An extent's content, which is copied if it is needed. Call `room` now and then. */
  add(offset: number, content: Buffer): void {
    const digest = hash("sha256", content);
    const size = content.length;
    this.#counts.content += size;
    let place = this.#places.get(digest);
    if (!place) {
      const former = this.#former.get(digest);
      place = former ? { chunk: former.stored, chunkOffset: former.chunkOffset, size } : this.#store(content);
      this.#places.set(digest, place);
    }
    this.#extents.push({ offset, size, digest, place });
  }

  /** Resolves when few enough chunks wait. Throws if one could not be stored. */
  async room(): Promise<void> {
    while (this.#queue.length > waiting && !this.#failure) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure) throw this.#failure.cause;
  }

  /** Stores what remains. Throws if a chunk could not be stored. */
  async finish(): Promise<Packed> {
    this.#flush();
    await this.#storeAgain();
    this.#flush();
    await this.settle();
    if (this.#failure) throw this.#failure.cause;
    return { ...this.#listed(), counts: this.#counts };
  }

  /** Resolves when nothing is being written any more, whatever became of it. */
  async settle(): Promise<void> {
    while (this.#lanes.size > 0) await Promise.all(this.#lanes);
  }

  #store(content: Buffer): Place {
    if (this.#open && this.#open.size + content.length > chunkBytes) this.#flush();
    this.#open ??= { entry: {}, content: this.#spare.pop() ?? Buffer.allocUnsafeSlow(chunkBytes), size: 0 };
    const { entry, size } = this.#open;
    content.copy(this.#open.content, size);
    this.#open.size += content.length;
    this.#counts.fresh += content.length;
    return { chunk: entry, chunkOffset: size, size: content.length };
  }

  #flush(): void {
    if (!this.#open) return;
    this.#queue.push(this.#open);
    this.#open = undefined;
    if (this.#working === lanes) return;
    this.#working++;
    const lane: Promise<void> = this.#work().then(() => void this.#lanes.delete(lane));
    this.#lanes.add(lane);
  }

  /** One lane. Never rejects: what fails is thrown to those who add. */
  async #work(): Promise<void> {
    for (let full = this.#queue.shift(); full && !this.#failure; full = this.#queue.shift()) {
      try {
        await this.#write(full.entry, full.content.subarray(0, full.size));
      } catch (cause) {
        this.#failure = { cause };
      }
      this.#spare.push(full.content);
      this.#wake?.();
    }
    this.#working--;
  }

  async #write(entry: Storing, content: Buffer): Promise<void> {
    const compressed = isDense(content) ? content : await compress(content, compression);
    const shrinks = compressed.length <= content.length * worthwhile;
    const stored = shrinks ? compressed : content;
    const name = hash("sha256", stored);
    await writeWhole(join(this.#directory, chunkFile(name)), stored);
    this.#counts.stored += stored.length;
    entry.chunk = create(ChunkSchema, {
      sizeBytes: content.length,
      storedDigest: Buffer.from(name, "hex"),
      storedBytes: stored.length,
      encoding: shrinks ? Chunk_Encoding.ZSTD : Chunk_Encoding.RAW,
    });
  }

  /** In chunks of their own: those with truly new content are all that a node with the former image needs. */
  async #storeAgain(): Promise<void> {
    const uses = new Map<FormerChunk, Place[]>();
    for (const place of this.#places.values()) {
      if ("path" in place.chunk) uses.set(place.chunk, [...(uses.get(place.chunk) ?? []), place]);
    }
    for (const [former, places] of uses) {
      const used = places.reduce((sum, { size }) => sum + size, 0);
      if (used >= former.chunk.sizeBytes * usedEnough) continue;
      const content = await readChunk(former);
      for (const place of places) {
        const { chunkOffset, size } = place;
        Object.assign(place, this.#store(content.subarray(chunkOffset, chunkOffset + size)));
        this.#counts.again += size;
      }
      await this.room();
    }
  }

  #listed(): { chunks: Chunk[]; extents: Extent[] } {
    const indexes = new Map<Storing | FormerChunk, number>();
    const chunks: Chunk[] = [];
    const extents = this.#extents.map(({ offset, size, digest, place }) => {
      let index = indexes.get(place.chunk);
      if (index === undefined) {
        if (!place.chunk.chunk) throw new Error(`the chunk with the content at ${offset} was not stored`);
        index = chunks.push(place.chunk.chunk) - 1;
        indexes.set(place.chunk, index);
      }
      return create(ExtentSchema, {
        offset: BigInt(offset),
        sizeBytes: size,
        digest: Buffer.from(digest, "hex"),
        chunk: index,
        chunkOffset: place.chunkOffset,
      });
    });
    return { chunks, extents };
  }
}

const compress = promisify(zstdCompress);
const compression = {
  params: { [constants.ZSTD_c_compressionLevel]: compressionLevel },
  // All of the output at once: by default it comes in pieces of 16 KiB, each a turn of the event loop.
  chunkSize: chunkBytes + (chunkBytes >> 3),
};

const samples = 16;
const sampleBytes = 1024;

/** Whether a sample of it does not shrink at all, as of what is compressed already: zstd is not tried then. */
function isDense(content: Buffer): boolean {
  const stride = Math.floor(content.length / samples);
  if (stride < sampleBytes) return false;
  const sample = Buffer.allocUnsafe(samples * sampleBytes);
  for (let i = 0; i < samples; i++)
    content.copy(sample, i * sampleBytes, i * stride, i * stride + sampleBytes);
  return zstdCompressSync(sample, sampling).length > sample.length;
}

const sampling = { params: { [constants.ZSTD_c_compressionLevel]: 1 }, chunkSize: 2 * samples * sampleBytes };

/** There is never half a file under its name. */
async function writeWhole(path: string, content: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}
