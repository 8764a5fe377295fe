// Finds damage in a log of LevelDB: the write-ahead log, or the manifest.
//
// A log is a row of blocks of 32 KiB, filled with records: masked CRC-32C, length, type, content. A record of a
// batch that does not fit into its block goes on in the next.
import { maskedCrc32c } from "./crc32c.ts";

const blockBytes = 32_768;
const headerBytes = 7;
const types = { full: 1, first: 2, middle: 3, last: 4 };

/** The offset of the first damage. A log that ends within a record has none: its writer was killed. */
export function journalFault(log: Buffer): number | undefined {
  let inBatch = false;
  for (let at = 0; at + headerBytes <= log.length; ) {
    const blockEnd = at - (at % blockBytes) + blockBytes;
    if (blockEnd - at < headerBytes) {
      at = blockEnd;
      continue;
    }
    const end = at + headerBytes + log.readUInt16LE(at + 4);
    const type = log.readUInt8(at + 6);
    // Room that was never filled, as some file systems leave after a power loss.
    if (type === 0) return log.subarray(at).every((byte) => byte === 0) ? undefined : at;
    if (end > blockEnd) return at;
    if (end > log.length) return hasRecordBehind(log, at) ? at : undefined;
    if (!isRecord(log, at)) return at;
    const begins = type === types.full || type === types.first;
    if (begins === inBatch) return at;
    inBatch = type === types.first || type === types.middle;
    at = end;
  }
  return undefined;
}

/** Then it is not the end that is missing: the length is wrong. */
function hasRecordBehind(log: Buffer, from: number): boolean {
  for (let at = from + 1; at + headerBytes <= log.length; at++) if (isRecord(log, at)) return true;
  return false;
}

function isRecord(log: Buffer, at: number): boolean {
  const type = log.readUInt8(at + 6);
  const end = at + headerBytes + log.readUInt16LE(at + 4);
  if (type < types.full || type > types.last || end > log.length) return false;
  return log.readUInt32LE(at) === maskedCrc32c(log.subarray(at + 6, end));
}
