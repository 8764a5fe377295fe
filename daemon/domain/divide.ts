// Divides a whole (a disk, a volume group) into parts by the sizes that were asked for.
import { formatBytes, parseSize, roundDown, roundUp } from "./size.ts";

export type Part = { name: string; size: string };
export type Division = { ok: true; sizes: bigint[] } | { ok: false; message: string };

/**
 * Sizes in multiples of `unit`: a fixed size is rounded up, a share of the whole down, and `remaining` is what
 * the others leave.
 */
export function divide(parts: Part[], whole: bigint, unit: bigint): Division {
  const sizes = parts.map(({ size }) => sizeOf(size, whole, unit));
  const taken = sizes.reduce<bigint>((sum, size) => sum + (size ?? 0n), 0n);
  const least = sizes.includes(undefined) ? unit : 0n;
  if (taken + least > whole) {
    const asked = parts.map(({ name, size }) => `${name} ${size}`).join(", ");
    return {
      ok: false,
      message: `too small: ${formatBytes(taken + least)} are needed, ${formatBytes(whole)} are available (${asked}); make the parts smaller`,
    };
  }
  const rest = roundDown(whole - taken, unit);
  return { ok: true, sizes: sizes.map((size) => size ?? rest) };
}

// Undefined is what remains.
function sizeOf(text: string, whole: bigint, unit: bigint): bigint | undefined {
  const size = parseSize(text);
  if (size === undefined || size.kind === "remaining") return undefined;
  if (size.kind === "bytes") return roundUp(size.bytes, unit);
  const share = roundDown((whole * size.parts) / size.whole, unit);
  return share > 0n ? share : unit;
}
