// The size of a block device, without a program: a deployment asks for it often.
import { readFile, stat } from "node:fs/promises";

/** In bytes. Throws if the path is no block device. */
export async function sizeOf(device: string): Promise<bigint> {
  const stats = await stat(device);
  if (!stats.isBlockDevice()) throw new Error(`${device} is no block device. Run the partition step again.`);
  // By its numbers: the name below /dev may be another than the kernel's.
  const sectors = await readFile(`/sys/dev/block/${deviceNumbers(stats.rdev)}/size`, "utf8");
  // Counted in 512 bytes, whatever the device's sectors are.
  return BigInt(sectors.trim()) * 512n;
}

/** "MAJOR:MINOR" of what stat says. */
export function deviceNumbers(rdev: number): string {
  return `${(rdev >>> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`;
}
