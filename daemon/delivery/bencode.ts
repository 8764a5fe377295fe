// Bencoding, BitTorrent's own notation, as far as it is written here. No package does it that is there already, and
// it is this short.

export type Bencodable = number | string | Uint8Array | Bencodable[] | { [key: string]: Bencodable };

/** Text is UTF-8. Numbers are whole. */
export function bencode(value: Bencodable): Buffer {
  if (typeof value === "number") return Buffer.from(`i${value}e`);
  if (typeof value === "string") return bencode(Buffer.from(value));
  if (value instanceof Uint8Array) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  if (Array.isArray(value)) return enclosed("l", value.map(bencode));
  // Keys are in order of their bytes.
  const keys = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return enclosed(
    "d",
    keys.flatMap((key) => [bencode(key), bencode(value[key] ?? "")]),
  );
}

const enclosed = (mark: string, parts: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(mark), ...parts, Buffer.from("e")]);
