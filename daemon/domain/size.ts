// Sizes as operators write them, in exact bytes. No floating point: a plan must not depend on rounding.

export type Size =
  | { kind: "bytes"; bytes: bigint }
  /** `parts` of `whole`: 12.5% is 125 of 1000. */
  | { kind: "share"; parts: bigint; whole: bigint }
  /** The same, of the node's memory. */
  | { kind: "memory"; parts: bigint; whole: bigint }
  | { kind: "remaining" };

const kib = 1024n;
export const mib = 1024n * kib;
export const gib = 1024n * mib;
export const tib = 1024n * gib;

const units: Record<string, bigint> = { B: 1n, KiB: kib, MiB: mib, GiB: gib, TiB: tib };

/** "512 MiB", "1.5GiB", "20%", "200% of RAM" or "remaining"; undefined if it is none of them. */
export function parseSize(text: string): Size | undefined {
  if (text === "remaining") return { kind: "remaining" };
  const match = /^(\d+)(?:\.(\d+))? *(B|KiB|MiB|GiB|TiB|%|% of RAM)$/.exec(text);
  if (!match) return undefined;
  const [, whole = "", fraction = "", unit = ""] = match;
  const number = BigInt(whole + fraction);
  const scale = 10n ** BigInt(fraction.length);
  if (unit === "%") return { kind: "share", parts: number, whole: 100n * scale };
  if (unit === "% of RAM") return { kind: "memory", parts: number, whole: 100n * scale };
  return { kind: "bytes", bytes: (number * (units[unit] ?? 1n)) / scale };
}

/** Bytes of "512 MiB"; undefined for an empty text and for what is no number of bytes. */
export function parseBytes(text: string): bigint | undefined {
  const size = parseSize(text);
  return size?.kind === "bytes" ? size.bytes : undefined;
}

export function roundUp(bytes: bigint, unit: bigint): bigint {
  return ((bytes + unit - 1n) / unit) * unit;
}

export function roundDown(bytes: bigint, unit: bigint): bigint {
  return (bytes / unit) * unit;
}

export function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

export function most(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
