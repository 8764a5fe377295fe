// From an image's bytes to its chunks and the lists of its manifest. One thread reads, cuts and digests; node's
// thread pool reads ahead, compresses and writes.
import { setFlagsFromString } from "node:v8";
import type { ImageManifest } from "../proto/gen/muster/v1/image_pb.ts";
import { type BlockBytes, Cutter } from "./cutter.ts";
import { formerContent } from "./former.ts";
import { chunkBytes, type PackCounts, Packer } from "./packer.ts";
import type { Part } from "./parts.ts";

// V8 counts zstd's contexts and output as garbage in the making, and marks the whole heap after every 16 MiB of
// them: a quarter of the processor's time went there. It now waits for more.
setFlagsFromString("--heap-growing-percent=1000");

export type PackInput = {
  name: string;
  blockBytes: BlockBytes;
  parts: AsyncIterable<Part>;
  /** Of the whole, once all parts have come. */
  size: () => number;
  /** Gets `chunks/`. */
  directory: string;
  /** `STATE/images`, for what former images of that name have. */
  store: string;
  signal: AbortSignal;
  onProgress?: (position: number, counts: Readonly<PackCounts>) => void;
};

export type PackedImage = Pick<
  ImageManifest,
  "sizeBytes" | "chunkBytes" | "blockBytes" | "chunks" | "extents" | "zeros"
> & { counts: PackCounts };

/** The manifest's lists. Throws when aborted, and when a chunk cannot be written; nothing is written then any more. */
export async function packImage(input: PackInput): Promise<PackedImage> {
  const packer = new Packer(input.directory, await formerContent(input.store, input.name));
  const cutter = new Cutter(input.blockBytes, (offset, content) => packer.add(offset, content));
  try {
    for await (const { offset, content } of input.parts) {
      input.signal.throwIfAborted();
      if (offset > cutter.position) cutter.hole(offset - cutter.position);
      cutter.data(content);
      await packer.room();
      input.onProgress?.(cutter.position, packer.counts);
    }
    cutter.end();
    const { chunks, extents, counts } = await packer.finish();
    return {
      sizeBytes: BigInt(input.size()),
      // Chunks of former images may be larger than ours.
      chunkBytes: chunks.reduce((most, chunk) => Math.max(most, chunk.sizeBytes), chunkBytes),
      blockBytes: input.blockBytes,
      chunks,
      extents,
      zeros: cutter.zeros.map(({ offset, size }) => ({
        $typeName: "muster.v1.ZeroRange",
        offset: BigInt(offset),
        sizeBytes: BigInt(size),
      })),
      counts,
    };
  } finally {
    await packer.settle();
  }
}
