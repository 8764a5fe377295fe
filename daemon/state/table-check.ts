// Finds damage in a table of LevelDB, whose reader trusts what it reads: a wrong byte can hide records from it, or
// end the process.
//
// A table is a row of blocks, each with its compression and a masked CRC-32C behind it, and a footer that says where
// the two last are: the meta index, with where the filter is, and the index, with where all the others are.
import { maskedCrc32c } from "./crc32c.ts";
import { unsnappy } from "./snappy.ts";

const footerBytes = 48;
const magic = 0xdb4775248b80fb57n;
const compressions = { none: 0, snappy: 1 };

type Place = { offset: number; size: number };

/** A file without the end of a table has no damage here: LevelDB has died while it wrote it, or says so itself. */
export function isDamagedTable(table: Buffer): boolean {
  if (table.length < footerBytes || table.readBigUInt64LE(table.length - 8) !== magic) return false;
  const footer = new Reader(table.subarray(table.length - footerBytes));
  const indexes = [footer.place(), footer.place()].map((place) => block(table, place));
  return indexes.some(
    (index) => index === undefined || places(index).some((place) => block(table, place) === undefined),
  );
}

/** Its content as it is stored, with its compression; undefined if it is not what was written. */
function block(table: Buffer, { offset, size }: Place): { content: Buffer; compression: number } | undefined {
  const end = offset + size;
  if (end + 5 > table.length - footerBytes) return undefined;
  if (table.readUInt32LE(end + 1) !== maskedCrc32c(table.subarray(offset, end + 1))) return undefined;
  return { content: table.subarray(offset, end), compression: table.readUInt8(end) };
}

/** The values of an index: every one is a place. */
function places({ content, compression }: { content: Buffer; compression: number }): Place[] {
  const plain = compression === compressions.snappy ? unsnappy(content) : content;
  const restarts = plain.readUInt32LE(plain.length - 4);
  const reader = new Reader(plain.subarray(0, plain.length - 4 * (restarts + 1)));
  const found: Place[] = [];
  while (!reader.atEnd) {
    reader.varint();
    const keyBytes = reader.varint();
    const valueBytes = reader.varint();
    const value = reader.pass(keyBytes).take(valueBytes);
    found.push(new Reader(value).place());
  }
  return found;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80 || factor > 2 ** 42) return value;
    }
  }

  place(): Place {
    return { offset: this.varint(), size: this.varint() };
  }

  pass(bytes: number): this {
    this.#at += bytes;
    return this;
  }

  take(bytes: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + bytes);
    this.#at += bytes;
    return taken;
  }
}
