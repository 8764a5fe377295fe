// How much of a RAID, of a physical volume or of an encrypted device can be relied on. Where the exact size is
// mdadm's to choose, what is planned here is never more than what it makes, so that no later step runs out of room.
import { gib, least, mib, most, roundDown, roundUp } from "./size.ts";

/** LVM's default. */
export const extentBytes = 4n * mib;

/** mdadm's default. */
export const defaultChunkBytes = mib / 2n;

const kib = 1024n;

type ArrayShape = { level: number; members: bigint[]; metadata: string; chunkBytes: bigint };
type ArraySize = {
  sizeBytes: bigint;
  /** How much of the smallest member is used, in whole chunks; and of every other but in RAID 0. */
  componentBytes: bigint;
};

/** Usable size of an array of these members; 0 if they are too small. */
export function arraySize({ level, members, metadata, chunkBytes }: ArrayShape): ArraySize {
  // mdadm chooses one data offset for all members, by the size of the one that it looks at first.
  const reserve = metadataReserve(members.reduce(most, 0n), metadata, level === 1 ? 0n : chunkBytes);
  const unit = level === 1 ? mib : roundUp(mib, most(chunkBytes, 1n));
  const used = members.map((member) => most(roundDown(member - reserve, unit), 0n));
  const componentBytes = used.reduce(least, used[0] ?? 0n);
  if (componentBytes === 0n) return { sizeBytes: 0n, componentBytes };
  switch (level) {
    // What a larger member has more is striped over those that have it too.
    case 0:
      return { sizeBytes: used.reduce((sum, size) => sum + size), componentBytes };
    case 10:
      return { sizeBytes: roundDown((componentBytes * BigInt(members.length)) / 2n, unit), componentBytes };
    default:
      return { sizeBytes: componentBytes * dataMembers(level, members.length), componentBytes };
  }
}

type VolumeRoom = { extentsBytes: bigint; dataAlignmentBytes: bigint };

/**
 * Room for volumes in a device that becomes a physical volume, in whole extents. They begin after the metadata,
 * at a multiple of the stripe of what it lies on.
 */
export function physicalVolumeRoom(
  size: bigint,
  stripeBytes: bigint,
  metadataBytes = 0n,
  copies = 1,
): VolumeRoom {
  const dataAlignmentBytes = stripeBytes > 0n ? roundUp(mib, stripeBytes) : mib;
  const start = metadataBytes > 0n ? roundUp(metadataBytes + mib, dataAlignmentBytes) : dataAlignmentBytes;
  // The second copy ends the device.
  const room = copies > 1 ? roundDown(size, mib) - start - most(metadataBytes, mib) : size - start;
  return { extentsBytes: room > 0n ? roundDown(room, extentBytes) : 0n, dataAlignmentBytes };
}

/** What LVM aligns its first extent to on such an array. */
export function stripeBytes(level: number, members: number, chunkBytes: bigint): bigint {
  return level === 1 ? 0n : chunkBytes * (level === 10 ? BigInt(members) : dataMembers(level, members));
}

/** What metadata 0.90 leaves of a member: it lies in the last 64 KiB that begin at a multiple of 64 KiB. */
export function oldMetadataRoom(member: bigint): bigint {
  return most(roundDown(member, 64n * kib) - 64n * kib, 0n);
}

/** LUKS2 takes 16 MiB at the start, LUKS1 2 MiB and a little. */
export function encryptedSize(size: bigint, type: string): bigint {
  const header = type === "luks1" ? 4n * mib : 16n * mib;
  return size > header ? size - header : 0n;
}

function dataMembers(level: number, members: number): bigint {
  const parity = level === 6 ? 2 : level === 4 || level === 5 ? 1 : 0;
  return level === 1 ? 1n : BigInt(Math.max(0, members - parity));
}

// With metadata 1.2 the data starts after the superblock, the bitmap and a headroom for reshaping, rounded up
// to a MiB. mdadm's headroom is about a thousandth of the member, at most 128 MiB, and not below a few chunks.
// The older forms end the member instead: with at most 128 KiB (0.90), or with the superblock and the bitmap.
function metadataReserve(member: bigint, metadata: string, chunkBytes: bigint): bigint {
  if (metadata === "0.90") return 128n * kib;
  if (metadata === "1.0") return (member > 100n * gib ? 4n : 2n) * mib;
  const thousandth = roundDown(member / 1024n, mib) + mib;
  const headroom = least(thousandth, 128n * mib);
  return most(headroom, most(4n * mib, 4n * chunkBytes)) + (member > 100n * gib ? 4n : 2n) * mib;
}
