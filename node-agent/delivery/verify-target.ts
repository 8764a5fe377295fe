// Reads back what was written, past the page cache.
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { Verify } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { Lanes } from "./lanes.ts";
import { lookFor } from "./move-pieces.ts";
import { extentAt } from "./plan-writes.ts";
import { pageAligned, readTarget, syncTarget, type Target, writeZeros } from "./target.ts";
import { expectZeros, type Zeros } from "./zero-ranges.ts";

/** One of so many extents is a sample. */
const sampleEvery = 16;

export type Check = {
  manifest: ImageManifest;
  target: Target;
  lanes: Lanes;
  /** What the target begins with. */
  head: Uint8Array;
  zeros: readonly Zeros[];
  signal: AbortSignal;
};

/** Everything but the head; before that is written, so that a disk that cannot keep its content is not booted. */
export async function verifyBody(
  { manifest, target, lanes, head, zeros, signal }: Check,
  verify: Verify,
  onRead: (bytes: number) => void,
): Promise<void> {
  const isFull = verify === Verify.FULL;
  const extents = [...manifest.extents.keys()]
    .filter((index) => isFull || index % sampleEvery === 0)
    .filter((index) => extentAt(manifest, index).offset >= head.length);
  const pieces = extents.map((index) => {
    const { offset, sizeBytes, digest } = extentAt(manifest, index);
    const at = Number(offset);
    return { from: at, to: at, sizeBytes, digest: Buffer.from(digest).toString("hex") };
  });
  await lookFor(pieces, 0, lanes, signal, (index, isThere) => {
    if (!isThere) throw notKept(target, pieces[index]?.to ?? 0);
    onRead(pieces[index]?.sizeBytes ?? 0);
  });
  if (isFull) await expectZeros(target, zeros, signal, onRead);
}

/** Takes it away again if it is not what was written. */
export async function verifyHead({ target, head }: Check, onRead: (bytes: number) => void): Promise<void> {
  const found = pageAligned(head.length);
  await readTarget(target, found, 0);
  onRead(found.length);
  if (Buffer.compare(found, head) === 0) return;
  await writeZeros(target, 0, head.length);
  await syncTarget(target);
  throw notKept(target, 0);
}

function notKept({ path }: Target, offset: number): Error {
  return new Error(
    `${path} reads something else than what was written at offset ${offset}. Replace the disk, or plan with another ` +
      "one, and retry the step.",
  );
}
