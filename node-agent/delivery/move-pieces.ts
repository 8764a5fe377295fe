// Has the lanes look at pieces of the target, and move them.
import { halfBytes, type Piece } from "./lane-protocol.ts";
import type { Ask, Lanes } from "./lanes.ts";

/**
 * Looks whether pieces are in their place. Those of the head are looked for in what the target began with, and taken
 * into what it will begin with. `headBytes` 0: all are looked for where they are now.
 */
export async function lookFor(
  pieces: readonly Piece[],
  headBytes: number,
  lanes: Lanes,
  signal: AbortSignal,
  onFound: (index: number, isThere: boolean) => void,
): Promise<void> {
  const batches = inBatches(pieces, headBytes);
  let next = 0;
  await lanes.all(async (ask, half) => {
    for (let batch = batches[next++]; batch; batch = batches[next++]) {
      signal.throwIfAborted();
      const asked = batch.map((index) => pieces[index] as Piece);
      const bad = new Set(await ask({ kind: "read", half, pieces: asked, fromDisk: headBytes === 0 }));
      if ((asked[0]?.to ?? 0) < headBytes) await ask({ kind: "write", half });
      for (const [position, index] of batch.entries()) onFound(index, !bad.has(position));
    }
  });
}

/** Indexes, in order; each batch as large as half of a lane's memory at most, those of the head by themselves. */
function inBatches(pieces: readonly Piece[], headBytes: number): number[][] {
  const batches: number[][] = [];
  let batch: number[] = [];
  let bytes = 0;
  let isHead = false;
  for (const [index, { to, sizeBytes }] of pieces.entries()) {
    const isFull = bytes + sizeBytes > halfBytes || isHead !== to < headBytes;
    if (isFull && batch.length > 0) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    isHead = to < headBytes;
    batch.push(index);
    bytes += sizeBytes;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

/**
 * Moves pieces, batch by batch: all of a batch, and of those before it, is read before any of it is written. What is
 * not what it should be is not written.
 */
export async function movePieces(
  batches: readonly Piece[][],
  lanes: Lanes,
  signal: AbortSignal,
  onMoved: (batch: number, index: number, isMoved: boolean) => void,
): Promise<void> {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  let next = 0;
  /** Everything that is read before the next batch is written. */
  let readBefore: Promise<unknown> = Promise.resolve();
  const move = async (at: number, ask: Ask, half: number) => {
    const batch = batches[at] ?? [];
    // In the order of the target, so that neighbours are written at once.
    const order = [...batch.keys()].sort((a, b) => (batch[a]?.to ?? 0) - (batch[b]?.to ?? 0));
    const pieces = order.map((index) => batch[index] as Piece);
    const read = ask({ kind: "read", half, pieces, fromDisk: false });
    const before = readBefore;
    readBefore = Promise.all([before, read]);
    readBefore.catch(() => {});
    const bad = new Set(await read);
    await Promise.race([before, failed.promise]);
    await ask({ kind: "write", half });
    for (const [position, index] of order.entries()) onMoved(at, index, !bad.has(position));
  };
  await lanes.all(async (ask, half) => {
    try {
      for (let at = next++; at < batches.length; at = next++) {
        signal.throwIfAborted();
        await move(at, ask, half);
      }
    } catch (error) {
      failed.reject(error);
      throw error;
    }
  });
}
