// Sizes for people.

/** 3221225472 is "3.0 GiB". */
export function formatBytes(bytes: bigint): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) && unit < 3 ? value : value.toFixed(1)} ${units[unit]}`;
}
