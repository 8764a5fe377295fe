// What a file is by its first bytes; its name does not matter. Pure.

/** Enough of a file for everything here. */
export const headBytes = 4096 + 512;

export type Compression = "gzip" | "xz" | "bzip2" | "zstd";

const signatures: [Compression, string][] = [
  ["gzip", "1f8b"],
  ["xz", "fd377a585a00"],
  ["bzip2", "425a68"],
  ["zstd", "28b52ffd"],
];

export function compressionOf(head: Buffer): Compression | undefined {
  return signatures.find(([, magic]) => head.subarray(0, magic.length / 2).toString("hex") === magic)?.[0];
}

export function isQcow2(head: Buffer): boolean {
  return head.subarray(0, 4).equals(Buffer.from("QFI\xfb", "latin1"));
}

/** POSIX and GNU archives. */
export function isTar(head: Buffer): boolean {
  return head.subarray(257, 262).toString("latin1") === "ustar";
}
