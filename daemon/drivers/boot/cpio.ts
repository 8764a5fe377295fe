// Archives in cpio's "newc" form, which the kernel unpacks as a further initrd.

export type CpioEntry =
  | { path: string; mode: number; directory: true }
  | { path: string; mode: number; directory?: false; content: Uint8Array };

const directoryType = 0o040000;
const fileType = 0o100000;
const blockBytes = 512;

/** The entries in the given order: a directory stands before what is in it. */
export function cpioArchive(entries: CpioEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [i, entry] of entries.entries()) {
    const content = entry.directory ? new Uint8Array() : entry.content;
    const type = entry.directory ? directoryType : fileType;
    parts.push(...record(entry.path, i + 1, type | entry.mode, entry.directory ? 2 : 1, content));
  }
  parts.push(...record("TRAILER!!!", 0, 0, 1, new Uint8Array()));
  return padded(Buffer.concat(parts), blockBytes);
}

// All of them owned by root and without a time, so that the same content gives the same archive.
function record(path: string, inode: number, mode: number, links: number, content: Uint8Array): Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  const [uid, gid, time, device, checksum] = [0, 0, 0, 0, 0];
  const fields = [inode, mode, uid, gid, links, time, content.length, device, device, device, device];
  const header = `070701${[...fields, name.length, checksum].map(hex8).join("")}`;
  return [padded(Buffer.concat([Buffer.from(header), name]), 4), padded(content, 4)];
}

const hex8 = (value: number): string => value.toString(16).padStart(8, "0");

function padded(bytes: Uint8Array, alignment: number): Uint8Array {
  const result = new Uint8Array(Math.ceil(bytes.length / alignment) * alignment);
  result.set(bytes);
  return result;
}
