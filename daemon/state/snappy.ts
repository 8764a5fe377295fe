// Unpacks Snappy, as far as LevelDB's indexes need it: the input has been checked by its checksum.

/** A length, then literals, and copies of what was unpacked before. */
export function unsnappy(packed: Buffer): Buffer {
  let at = 0;
  const little = (bytes: number) => {
    const value = packed.readUIntLE(at, bytes);
    at += bytes;
    return value;
  };
  let length = 0;
  for (let shift = 0, byte = 0x80; byte & 0x80; shift += 7) {
    byte = little(1);
    length |= (byte & 0x7f) << shift;
  }
  const plain = Buffer.alloc(length);
  let end = 0;
  while (at < packed.length) {
    const tag = little(1);
    const kind = tag & 3;
    if (kind === 0) {
      const short = tag >>> 2;
      const size = (short < 60 ? short : little(short - 59)) + 1;
      end += packed.copy(plain, end, at, at + size);
      at += size;
      continue;
    }
    const size = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    const back = kind === 1 ? ((tag >>> 5) << 8) | little(1) : little(kind === 2 ? 2 : 4);
    // Byte by byte: a copy may overlap itself.
    for (let i = 0; i < size; i++, end++) plain[end] = plain[end - back] ?? 0;
  }
  return plain;
}
