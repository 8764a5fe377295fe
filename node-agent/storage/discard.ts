// Whether a device can be emptied at once.
import { open } from "node:fs/promises";
import { CommandError } from "../runner.ts";
import { sizeOf } from "./device-size.ts";
import type { StorageContext } from "./wait.ts";
import { isZero } from "./zeros.ts";

const sampleBytes = 64 << 10;
const sampleCount = 64;

/** Discards the whole device; true if it can and what it then reads is zeros, as far as samples show. */
export async function discardedToZeroes(device: string, { run, signal }: StorageContext): Promise<boolean> {
  try {
    await run(discardCommand(device), { signal });
  } catch (error) {
    if (error instanceof CommandError && !signal.aborted) return false; // disks with platters cannot
    throw error;
  }
  return samplesAreZero(device, Number(await sizeOf(device)));
}

export function discardCommand(device: string): [string, ...string[]] {
  return ["blkdiscard", "--force", device];
}

/** Looks at evenly spread samples, the first and the last bytes among them. */
export async function samplesAreZero(path: string, sizeBytes: number): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const sample = Buffer.alloc(Math.min(sampleBytes, sizeBytes));
    for (let index = 0; index < sampleCount; index++) {
      const position = Math.floor(((sizeBytes - sample.length) * index) / (sampleCount - 1));
      const { bytesRead } = await file.read(sample, 0, sample.length, position);
      if (!isZero(sample.subarray(0, bytesRead))) return false;
    }
    return true;
  } finally {
    await file.close();
  }
}
