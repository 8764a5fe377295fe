// What has to be read, copied and fetched so that a target holds an image. Pure: deliver.ts carries it out.
//
// First extents that may be in their place already are looked at there. What is not is copied from another place of
// the target that may have the content, in an order in which nothing is lost. The rest is fetched, by chunks. Whether
// a place really has the content is only known when it is read: what does not verify is fetched.
import type { Extent, ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { type Move, orderMoves } from "./copy-order.ts";

/**
 * Without its first MiB a target has no table or file system to boot from. It is zeroed before anything else is
 * written, and comes back when everything else is there.
 */
export const headBytes = 1 << 20;

export type Copy = { extent: number; from: number };

/** A chunk, and the extents (by index) that are taken from it. */
export type Fetch = { chunk: number; extents: number[] };

/** Where the last of the extents ends that begin in the first MiB, or that MiB: all of it is written last. */
export function headEnd({ extents, sizeBytes }: ImageManifest): number {
  let end = Math.min(headBytes, Number(sizeBytes));
  for (const { offset, sizeBytes: length } of extents) {
    if (offset >= headBytes) break;
    end = Math.max(end, Number(offset) + length);
  }
  return end;
}

/** Indexes of the extents that may be in their place already: at the first attempt where a former image had them. */
export function planChecks(
  { extents }: ImageManifest,
  formers: readonly ImageManifest[],
  attempt: number,
): number[] {
  const all = [...extents.keys()];
  if (attempt > 1) return all;
  const place = ({ offset, digest }: Extent) => `${offset} ${keyOf(digest)}`;
  const had = new Set(formers.flatMap((former) => former.extents.map(place)));
  return had.size === 0 ? [] : all.filter((index) => had.has(place(extents[index] as Extent)));
}

export type CopyInput = {
  manifest: ImageManifest;
  formers: readonly ImageManifest[];
  /** Indexes of extents that are in their place. */
  verified: readonly number[];
  /** Indexes of those that are not. */
  missing: readonly number[];
  targetBytes: number;
  /** What begins in the first MiB of the target was read up to here before it was zeroed. */
  snapshotBytes: number;
  batchBytes: number;
};

/** Batches of copies in the order in which they must be carried out, and the extents that have to be fetched. */
export function planCopies(input: CopyInput): { batches: Copy[][]; fetch: number[] } {
  const { manifest, missing, snapshotBytes, formers, verified } = input;
  if (formers.length === 0 && verified.length === 0) return { batches: [], fetch: [...missing] };
  const places = knownPlaces(input);
  const head = headEnd(manifest);
  const fetch: number[] = [];
  const copies: Copy[] = [];
  for (const extent of missing) {
    const { digest, offset } = extentAt(manifest, extent);
    const from = places.get(keyOf(digest));
    // What was looked for in its own place is not there.
    if (from === undefined || from === Number(offset)) fetch.push(extent);
    else copies.push({ extent, from });
  }
  const moves = copies.map(({ extent, from }): Move => {
    const { offset, sizeBytes } = extentAt(manifest, extent);
    const to = Number(offset);
    const sourceHeld = from + sizeBytes <= snapshotBytes;
    return { from, to, sizeBytes, sourceHeld, writtenLater: to < head };
  });
  const { batches, dropped } = orderMoves(moves, input.batchBytes);
  const copyAt = (index: number) => copies[index] as Copy;
  fetch.push(...dropped.map((index) => copyAt(index).extent));
  return { batches: batches.map((batch) => batch.map(copyAt)), fetch };
}

/** By chunk, in the order of their places; what is written last is fetched last. */
export function planFetches(manifest: ImageManifest, extents: readonly number[]): Fetch[] {
  const head = headEnd(manifest);
  const byChunk = new Map<number, number[]>();
  for (const index of [...extents].sort((a, b) => a - b)) {
    const { chunk } = extentAt(manifest, index);
    const wanted = byChunk.get(chunk);
    if (wanted) wanted.push(index);
    else byChunk.set(chunk, [index]);
  }
  const fetches = [...byChunk].map(([chunk, wanted]): Fetch => ({ chunk, extents: wanted }));
  const isHead = ({ extents: wanted }: Fetch) =>
    wanted.some((index) => extentAt(manifest, index).offset < head);
  return [...fetches.filter((one) => !isHead(one)), ...fetches.filter(isHead)];
}

/** Where content may lie on the target, by digest: what is verified stays; of former images the newest counts. */
function knownPlaces({ manifest, formers, verified, targetBytes }: CopyInput): Map<string, number> {
  const places = new Map<string, number>();
  for (const former of [...formers].reverse()) {
    for (const { digest, offset, sizeBytes } of former.extents) {
      if (Number(offset) + sizeBytes <= targetBytes) places.set(keyOf(digest), Number(offset));
    }
  }
  const head = headEnd(manifest);
  for (const index of verified) {
    const { digest, offset } = extentAt(manifest, index);
    // The head is not on the disk until the end.
    if (offset >= head) places.set(keyOf(digest), Number(offset));
  }
  return places;
}

export function extentAt(manifest: ImageManifest, index: number): Extent {
  const extent = manifest.extents[index];
  if (!extent) throw new Error(`image ${manifest.name} has no extent ${index}. Retry the step.`);
  return extent;
}

function keyOf(digest: Uint8Array): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength).toString("latin1");
}
