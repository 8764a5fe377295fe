// What must read as zeros on the target, though nothing is fetched for it.
import type { ZeroRange } from "../../proto/gen/muster/v1/image_pb.ts";
import type { Runner } from "../runner.ts";
import { alignment, pageAligned, readTarget, type Target, writeZeros } from "./target.ts";

/** Below this a program of its own takes longer than to write them. */
const worthwhileBytes = 1 << 20;
const readBytes = 1 << 20;

export type Zeros = { offset: number; sizeBytes: number };

/** Without what lies before `start`. */
export function zerosFrom(ranges: readonly ZeroRange[], start: number): Zeros[] {
  return ranges
    .map(({ offset, sizeBytes }) => {
      const from = Math.max(Number(offset), start);
      return { offset: from, sizeBytes: Number(offset + sizeBytes) - from };
    })
    .filter(({ sizeBytes }) => sizeBytes > 0);
}

/** Disks that can make zeros by themselves do. */
export async function zeroRanges(
  target: Target,
  zeros: readonly Zeros[],
  run: Runner | undefined,
  signal: AbortSignal,
): Promise<void> {
  for (const { offset, sizeBytes } of zeros) {
    signal.throwIfAborted();
    const whole = sizeBytes - (sizeBytes % alignment);
    if (!run || !target.isBlockDevice || whole < worthwhileBytes || offset % alignment !== 0) {
      await writeZeros(target, offset, sizeBytes, signal);
      continue;
    }
    // Without --force it wants the device for itself alone, as the delivery has it.
    const range = ["--offset", String(offset), "--length", String(whole)];
    const command = ["blkdiscard", "--force", "--zeroout", ...range, target.path] as const;
    await run(command, { signal, timeoutMs: Number.POSITIVE_INFINITY });
    if (whole < sizeBytes) await writeZeros(target, offset + whole, sizeBytes - whole, signal);
  }
}

/** Throws where something else is read. */
export async function expectZeros(
  target: Target,
  zeros: readonly Zeros[],
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): Promise<void> {
  const expected = Buffer.alloc(readBytes);
  const bytes = pageAligned(readBytes);
  for (const { offset, sizeBytes } of zeros) {
    for (let done = 0; done < sizeBytes; done += readBytes) {
      signal.throwIfAborted();
      const part = bytes.subarray(0, Math.min(readBytes, sizeBytes - done));
      await readTarget(target, part, offset + done);
      if (expected.compare(part, 0, part.length, 0, part.length) !== 0) {
        throw new Error(
          `${target.path} reads something else than the zeros that were written at offset ${offset + done}. ` +
            "Replace the disk, or plan with another one, and retry the step.",
        );
      }
      onRead(part.length);
    }
  }
}
