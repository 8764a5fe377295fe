// Writes the archive that the kernel unpacks as its initramfs: cpio in the "newc" form. The same content gives
// the same bytes, since every time and owner is zero.

export type CpioEntry =
  | { name: string; kind: "directory" }
  | { name: string; kind: "link"; to: string }
  | { name: string; kind: "file"; executable?: boolean; content: Uint8Array };

const types = { directory: 0o040755, link: 0o120777, file: 0o100644 };

/** A whole archive; its length is a multiple of 512, as that of the usual tool. */
export function cpioArchive(entries: CpioEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  entries.forEach((entry, index) => {
    const content = entryContent(entry);
    const mode = entry.kind === "file" && entry.executable ? 0o100755 : types[entry.kind];
    parts.push(cpioHeader({ name: entry.name, inode: index + 1, mode, size: content.length }));
    parts.push(content, padding(content.length, 4));
  });
  parts.push(cpioTrailer());
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([...parts, padding(length, 512)]);
}

function entryContent(entry: CpioEntry): Uint8Array {
  if (entry.kind === "file") return entry.content;
  return entry.kind === "link" ? Buffer.from(entry.to) : Buffer.alloc(0);
}

/** What comes before a file's content. The content is followed by `padding(size, 4)`. */
export function cpioHeader(file: { name: string; inode: number; mode: number; size: number }): Buffer {
  const name = Buffer.from(`${file.name}\0`);
  const links = file.mode >> 12 === 4 ? 2 : 1;
  const [uid, gid, mtime, devMajor, devMinor, rdevMajor, rdevMinor, check] = [0, 0, 0, 0, 0, 0, 0, 0];
  const fields = [file.inode, file.mode, uid, gid, links, mtime, file.size, devMajor, devMinor, rdevMajor];
  const rest = [rdevMinor, name.length, check];
  const numbers = [...fields, ...rest].map((field) => field.toString(16).padStart(8, "0"));
  const head = Buffer.concat([Buffer.from(`070701${numbers.join("")}`), name]);
  return Buffer.concat([head, padding(head.length, 4)]);
}

export function cpioTrailer(): Buffer {
  return cpioHeader({ name: "TRAILER!!!", inode: 0, mode: 0, size: 0 });
}

/** Zeros from `length` to the next multiple of `alignment`. */
export function padding(length: number, alignment: number): Buffer {
  return Buffer.alloc((alignment - (length % alignment)) % alignment);
}
