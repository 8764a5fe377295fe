// Sizes for people, the same in every plan and message.

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** "512 MiB", "3.6 GiB". Never more than there is: digits are cut, not rounded. */
export function formatBytes(bytes: bigint | number): string {
  const exact = BigInt(bytes);
  let unit = 0;
  while (unit < units.length - 1 && exact >= 1024n << BigInt(10 * unit)) unit++;
  const tenths = (exact * 10n) >> BigInt(10 * unit);
  const text = tenths % 10n === 0n ? `${tenths / 10n}` : `${tenths / 10n}.${tenths % 10n}`;
  return `${text} ${units[unit]}`;
}
