// Divides a whole (a disk, a volume group) into parts by the sizes that were asked for.
import type { SizeByRam } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import { least, mib, most, parseBytes, parseSize, roundDown, roundUp } from "./size.ts";

/** The fields that say how large a partition or a volume shall be. */
export type SizeWish = { size: string; min: string; max: string; weight: number; byRam: SizeByRam[] };
export type Part = SizeWish & {
  name: string;
  /** What it takes of the whole beyond its own size: copies and metadata. */
  cost?: Cost;
};
/** `raw` is never less for a larger size. */
export type Cost = { raw: (size: bigint) => bigint; fits: (raw: bigint) => bigint };
export type Frame = {
  /** What percentages are of. */
  whole: bigint;
  /** What there is to divide, if less than the whole. */
  room: bigint;
  unit: bigint;
  memory: bigint;
};
type Division = { ok: true; sizes: bigint[] } | { ok: false; message: string };

const plain: Cost = { raw: (size) => size, fits: (raw) => raw };

// A wish without tables: which row of `by_ram` it is on a node of that memory.
function sizeText({ size, byRam }: SizeWish, memory: bigint): string {
  const row = byRam.find(({ upTo }) => !upTo || memory <= (parseBytes(upTo) ?? 0n));
  return row?.size ?? size;
}

/**
 * Sizes in multiples of `unit`: a fixed size is rounded up, a share of the whole down, and those that are
 * `remaining` share what the others leave by their weights, within their bounds.
 */
export function divide(parts: Part[], frame: Frame): Division {
  const { room, unit } = frame;
  const crossed = parts.find((part) => isCrossed(part, frame));
  if (crossed) {
    const { name, min, max } = crossed;
    return { ok: false, message: `${name} shall have at least ${min}, which is more than its max, ${max}` };
  }
  const sizes = parts.map((part) => fixedSize(part, frame));
  const costs = parts.map(({ cost = plain }) => cost);
  const taken = sizes.reduce<bigint>(
    (sum, size, i) => sum + (size === undefined ? 0n : raw(costs, i, size)),
    0n,
  );
  const floors = parts.map((part) => bounds(part, frame).min);
  const needed = sizes.reduce<bigint>(
    (sum, size, i) => sum + (size === undefined ? raw(costs, i, floors[i] ?? unit) : 0n),
    taken,
  );
  if (needed > room) return { ok: false, message: tooSmall(parts, needed, frame) };
  const rest = roundDown(room - taken, unit);
  return { ok: true, sizes: shareRest(parts, sizes, costs, rest, frame) };
}

/** What a part takes of the whole at least. */
export function leastSize(part: Part, frame: Frame): bigint {
  return (part.cost ?? plain).raw(fixedSize(part, frame) ?? bounds(part, frame).min);
}

/** Whether it takes what the others leave. */
export function isRemaining(part: Part, frame: Frame): boolean {
  return fixedSize(part, frame) === undefined;
}

function raw(costs: Cost[], index: number, size: bigint): bigint {
  return (costs[index] ?? plain).raw(size);
}

function tooSmall(parts: Part[], needed: bigint, { room, memory }: Frame): string {
  const asked = parts.map((part) => {
    const least = part.min ? ` at least ${part.min}` : "";
    return `${part.name} ${sizeText(part, memory)}${least}`;
  });
  // Cut to one digit, a little too much looks like enough.
  const alike = formatBytes(needed) === formatBytes(room);
  const text = (bytes: bigint) => (alike ? `${bytes / mib} MiB` : formatBytes(bytes));
  return `too small: ${text(needed)} are needed, ${text(room)} are available (${asked.join(", ")}); make the parts smaller`;
}

// Water into vessels: whoever would get less than its least or more than its most gets exactly that, and the
// others share again. At most one round for each part.
function shareRest(
  parts: Part[],
  fixed: (bigint | undefined)[],
  costs: Cost[],
  rest: bigint,
  frame: Frame,
): bigint[] {
  const sizes = [...fixed];
  let left = rest;
  for (;;) {
    const open = parts.flatMap((part, i) => (sizes[i] === undefined ? [{ part, i }] : []));
    if (open.length === 0) return sizes.map((size) => size ?? 0n);
    const shares = shareByWeight(open, left, costs, frame.unit);
    const outside = open.flatMap(({ part, i }, at) => {
      const { min, max } = bounds(part, frame);
      const share = shares[at] ?? 0n;
      const bound = share < min ? min : max !== undefined && share > max ? max : undefined;
      return bound === undefined ? [] : [{ i, bound, low: share < min }];
    });
    // Those that are too small first: what they take makes the others' shares smaller.
    const fix = outside.some(({ low }) => low) ? outside.filter(({ low }) => low) : outside;
    for (const { i, bound } of fix) {
      sizes[i] = bound;
      left -= raw(costs, i, bound);
    }
    if (fix.length) continue;
    open.forEach(({ i }, at) => {
      sizes[i] = shares[at] ?? 0n;
    });
  }
}

/** The last one also gets what rounding left over. */
function shareByWeight(
  open: { part: Part; i: number }[],
  rest: bigint,
  costs: Cost[],
  unit: bigint,
): bigint[] {
  let weights = open.reduce((sum, { part }) => sum + BigInt(part.weight || 1), 0n);
  let left = rest;
  return open.map(({ part, i }) => {
    const weight = BigInt(part.weight || 1);
    const share = roundDown((left * weight) / weights, unit);
    weights -= weight;
    left -= share;
    return roundDown((costs[i] ?? plain).fits(share), unit);
  });
}

/** Undefined is `remaining`. */
function fixedSize(part: Part, frame: Frame): bigint | undefined {
  const { whole, unit, memory } = frame;
  const size = parseSize(sizeText(part, memory));
  if (size === undefined || size.kind === "remaining") return undefined;
  if (size.kind === "bytes") return roundUp(size.bytes, unit);
  const base = size.kind === "share" ? whole : memory;
  const share = (base * size.parts) / size.whole;
  const own = size.kind === "share" ? (part.cost ?? plain).fits(share) : share;
  const { min, max } = bounds(part, frame);
  const raised = most(roundDown(own, unit), min);
  return max === undefined ? raised : least(raised, max);
}

function bounds({ min, max }: Part, frame: Frame): { min: bigint; max: bigint | undefined } {
  const low = boundBytes(min, frame);
  const high = boundBytes(max, frame);
  return {
    min: low === undefined ? frame.unit : most(roundUp(low, frame.unit), frame.unit),
    max: high === undefined ? undefined : most(roundDown(high, frame.unit), frame.unit),
  };
}

/** Shares and bytes can only be compared on a machine. */
function isCrossed({ min, max }: Part, frame: Frame): boolean {
  const [low, high] = [boundBytes(min, frame), boundBytes(max, frame)];
  return low !== undefined && high !== undefined && low > high;
}

function boundBytes(text: string, { whole, memory }: Frame): bigint | undefined {
  const size = parseSize(text);
  if (size === undefined || size.kind === "remaining") return undefined;
  if (size.kind === "bytes") return size.bytes;
  return ((size.kind === "share" ? whole : memory) * size.parts) / size.whole;
}

/** Whether something that exists is as large as it shall be; if not, what was wanted. */
export function sizeMismatch(part: Part, actual: bigint, frame: Frame): string | undefined {
  const wanted = fixedSize(part, frame);
  const text = sizeText(part, frame.memory);
  if (wanted !== undefined) {
    const difference = actual > wanted ? actual - wanted : wanted - actual;
    // What a share is of depends a little on who laid out the metadata.
    const slack = text.endsWith("%") ? 2n * frame.unit : frame.unit;
    return difference < slack ? undefined : text;
  }
  const { min, max } = bounds(part, frame);
  if (part.min && actual < min) return `at least ${part.min}`;
  if (max !== undefined && actual > max) return `at most ${part.max}`;
  return undefined;
}
