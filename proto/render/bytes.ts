// Sizes for people, in both rooms the same.

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** "512 MiB", "3.6 GiB". Never more than there is: digits are cut, not rounded. */
export function bytesText(bytes: bigint): string {
  let unit = 0;
  while (unit < units.length - 1 && bytes >= 1024n << BigInt(10 * unit)) unit++;
  const tenths = unit === 0 ? bytes * 10n : (bytes * 10n) >> BigInt(10 * unit);
  const text = tenths % 10n === 0n ? `${tenths / 10n}` : `${tenths / 10n}.${tenths % 10n}`;
  return `${text} ${units[unit]}`;
}
