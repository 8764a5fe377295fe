// Gives a place to every partition that has none yet: in the order of the scheme, between its neighbours there, in
// the gaps that what stays on the disk leaves.
import type { Partition } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { divide, type Frame, isRemaining, leastSize, type Part } from "./divide.ts";
import type { FoundPartition } from "./existing.ts";
import type { Kind } from "./partition-kinds.ts";
import { least, mib, most, roundDown, roundUp } from "./size.ts";

export type Span = { start: bigint; end: bigint };
export type Piece = { partition: Partition; typeCode: string; kind: Kind; span?: Span };

/** An extended partition keeps the place of each logical one in a sector before it. */
export const logicalReserve = mib;

/** Why not, if not all of them find a place. */
export function flow(
  pieces: Piece[],
  others: FoundPartition[],
  usable: Span,
  memory: bigint,
): string | undefined {
  const blocked = [
    ...pieces.flatMap(({ span }) => (span ? [span] : [])),
    ...others.map(({ startBytes, sizeBytes }) => ({ start: startBytes, end: startBytes + sizeBytes })),
  ].sort((a, b) => (a.start < b.start ? -1 : 1));
  for (let i = 0; i < pieces.length; i++) {
    if (pieces[i]?.span || pieces[i]?.kind === "extended") continue;
    const next = pieces.findIndex(({ span }, at) => at > i && span !== undefined);
    const stop = next < 0 ? pieces.length : next;
    const run = pieces.slice(i, stop).filter(({ kind }) => kind !== "extended");
    const from = pieces.slice(0, i).findLast(({ span }) => span)?.span?.end ?? usable.start;
    const to = pieces[stop]?.span?.start ?? usable.end;
    const gaps = gapsOf({ start: most(from, usable.start), end: least(to, usable.end) }, blocked);
    const frame = { whole: usable.end - usable.start, room: 0n, unit: mib, memory };
    // Where that leaves one without a place, all of them may still have one in the first gaps.
    const fault = placeRun(run, gaps, frame, true) && placeRun(run, gaps, frame, false);
    if (fault) return fault;
    i = stop - 1;
  }
  return undefined;
}

/** Whole MiB between what is there; one of nothing if there is none. */
function gapsOf(region: Span, blocked: Span[]): Span[] {
  const gaps: Span[] = [];
  let start = roundUp(region.start, mib);
  const take = (until: bigint) => {
    const end = roundDown(until, mib);
    if (end > start) gaps.push({ start, end });
  };
  for (const span of blocked) {
    if (span.end <= region.start || span.start >= region.end) continue;
    take(span.start);
    start = roundUp(most(start, span.end), mib);
  }
  take(region.end);
  return gaps.length ? gaps : [{ start, end: start }];
}

/**
 * The first gap that has room for each, never going back; what remains of a gap is shared by those in it. With
 * `patient`, one that is `remaining` waits for the largest gap.
 */
function placeRun(run: Piece[], gaps: Span[], frame: Frame, patient: boolean): string | undefined {
  const waiting = [...run];
  for (const [i, gap] of gaps.entries()) {
    const room = sizeOf(gap);
    const coming = patient ? gaps.slice(i + 1).map(sizeOf) : [];
    const larger = coming.reduce(most, 0n);
    const here = i === gaps.length - 1 ? waiting.splice(0) : takeFitting(waiting, room, larger, frame);
    const fault = placeIn(here, gap, { ...frame, room });
    if (fault)
      return gaps.length > 1 ? `what stays on it leaves gaps, and of the last it is ${fault}` : fault;
  }
  return undefined;
}

function sizeOf({ start, end }: Span): bigint {
  return end - start;
}

/** `larger` is the largest of the gaps that come. */
function takeFitting(waiting: Piece[], room: bigint, larger: bigint, frame: Frame): Piece[] {
  let left = room;
  const here: Piece[] = [];
  for (let piece = waiting[0]; piece; piece = waiting[0]) {
    if (left < larger && isRemaining(partOf(piece), frame)) break;
    left -= leastSize(partOf(piece), frame);
    if (left < 0n) break;
    here.push(piece);
    waiting.shift();
  }
  return here;
}

function partOf({ partition, kind }: Piece): Part {
  if (kind !== "logical") return partition;
  return {
    ...partition,
    cost: { raw: (size) => size + logicalReserve, fits: (raw) => raw - logicalReserve },
  };
}

function placeIn(run: Piece[], gap: Span, frame: Frame): string | undefined {
  const divided = divide(run.map(partOf), frame);
  if (!divided.ok) return divided.message;
  let next = gap.start;
  run.forEach((piece, i) => {
    const start = piece.kind === "logical" ? next + logicalReserve : next;
    next = start + (divided.sizes[i] ?? 0n);
    piece.span = { start, end: next };
  });
  return undefined;
}
