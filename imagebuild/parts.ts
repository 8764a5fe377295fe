// The content of an image in parts of bounded size, read ahead of those who use it: from a file of which some
// ranges do not matter, or from a stream.
import { type FileHandle, open } from "node:fs/promises";
import type { Range } from "./cutter.ts";

/** In order; what is between one part and the next is a hole. Only good until the next one is asked for. */
export type Part = { offset: number; content: Buffer };

/** Of one read. Larger ones fall out of the processor's cache before they are digested. */
export const readBytes = 4 << 20;

/** Holes that are smaller than this are read along. */
const holeWorthASeek = 128 << 10;

/** The parts of a file that are not in `unused` (in order, without overlaps). */
export async function* fileParts(path: string, unused: Range[]): AsyncGenerator<Part> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const buffers = [Buffer.allocUnsafeSlow(readBytes), Buffer.allocUnsafeSlow(readBytes)] as const;
    const plan = reads(size, unused);
    const begin = (buffer: Buffer) => {
      const { value: read } = plan.next();
      if (!read) return undefined;
      const done = readFully(file, buffer.subarray(0, read.size), read.offset, path);
      // Whoever uses the parts before it may never come to this one.
      done.catch(() => {});
      return { read, buffer, done };
    };
    let next = begin(buffers[0]);
    while (next) {
      const { read, buffer, done } = next;
      await done;
      next = begin(buffer === buffers[0] ? buffers[1] : buffers[0]);
      for (const { offset, size: length } of read.used) {
        const from = offset - read.offset;
        yield { offset, content: buffer.subarray(from, from + length) };
      }
      if (!next) return;
    }
  } finally {
    await file.close();
  }
}

type Read = Range & { used: Range[] };

/** What to read of `size` bytes of which `unused` does not matter, in reads of at most `readBytes`. */
export function* reads(size: number, unused: Range[]): Generator<Read, undefined> {
  let read: Read | undefined;
  for (const range of usedRanges(size, unused)) {
    const end = range.offset + range.size;
    const joins =
      read && end - read.offset <= readBytes && range.offset - (read.offset + read.size) < holeWorthASeek;
    if (read && !joins) {
      yield read;
      read = undefined;
    }
    read ??= { offset: range.offset, size: 0, used: [] };
    read.size = end - read.offset;
    read.used.push(range);
  }
  if (read) yield read;
  return undefined;
}

/** What is left of `size` bytes without `unused`, in pieces of at most `readBytes`. */
function* usedRanges(size: number, unused: Range[]): Generator<Range> {
  let position = 0;
  for (const { offset, size: length } of [...unused, { offset: size, size: 0 }]) {
    for (; position < offset; position += readBytes) {
      yield { offset: position, size: Math.min(readBytes, offset - position) };
    }
    position = offset + length;
  }
}

async function readFully(file: FileHandle, target: Buffer, offset: number, path: string): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await file.read(target, done, target.length - done, offset + done);
    if (bytesRead === 0)
      throw new Error(`${path} became shorter while it was read; is it still being written?`);
    done += bytesRead;
  }
}

/** The parts of a stream, none but the last shorter than `readBytes`. */
export async function* streamParts(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Part> {
  const buffer = Buffer.allocUnsafeSlow(readBytes);
  let offset = 0;
  let filled = 0;
  for await (const bytes of stream) {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + readBytes - filled);
      buffer.set(piece, filled);
      filled += piece.length;
      at += piece.length;
      if (filled < readBytes) continue;
      yield { offset, content: buffer };
      offset += filled;
      filled = 0;
    }
  }
  if (filled > 0) yield { offset, content: buffer.subarray(0, filled) };
}
