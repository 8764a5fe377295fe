// Disks as operators name them, where they protect or skip some: the daemon and the agent must read a mark alike, as
// one that is not understood would protect nothing.

/** A WWN has 16 digits; NAA 6 adds a vendor's 16. */
export function splitWwn(wwn: string): { base: string; extension: string } {
  const [, base, extension] = /^(0x[0-9a-f]{16})([0-9a-f]{16})$/i.exec(wwn.trim()) ?? [];
  return base && extension ? { base, extension: `0x${extension}` } : { base: wwn, extension: "" };
}

/**
 * Whether one of the marks is the disk's serial or wwn, however it is written. A wwn without its vendor's extension is
 * that of every disk that has it.
 */
export function isMarked(
  { serial, wwn }: { serial: string; wwn: string },
  marks: readonly string[],
): boolean {
  const own = [serial, wwn, splitWwn(wwn).base].map(plainId).filter(Boolean);
  return marks.some((mark) => own.includes(plainId(mark)));
}

// 0x5000C500A1B2C3D4, 50:00:c5:00:a1:b2:c3:d4, and wwn-0x5000c500a1b2c3d4 as below /dev/disk/by-id.
function plainId(id: string): string {
  return id
    .trim()
    .toLowerCase()
    .replace(/^(?:wwn-)?(?:0x)?/, "")
    .replaceAll(":", "");
}
