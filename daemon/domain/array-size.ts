// How much of a RAID or of a physical volume can be relied on. The exact size is mdadm's and LVM's to choose;
// what is planned here is never more than what they make, so that no later step runs out of room.
import { gib, mib, roundDown } from "./size.ts";

/** LVM's default. */
export const extentBytes = 4n * mib;

// mdadm's default.
const chunkBytes = mib / 2n;

/** Usable size of an array of these members; 0 if they are too small. */
export function arraySize(level: number, members: bigint[]): bigint {
  const ascending = [...members].sort((a, b) => (a < b ? -1 : 1));
  const smallest = ascending[0] ?? 0n;
  // mdadm chooses one data offset for all members, by the size of the one that it looks at first.
  const data = roundDown(smallest - metadataReserve(ascending.at(-1) ?? 0n), mib);
  if (data <= 0n) return 0n;
  if (level === 10) return roundDown((data * BigInt(members.length)) / 2n, mib);
  return data * dataMembers(level, members.length);
}

/** Room for file systems and volumes in a device that becomes a physical volume, in whole extents. */
export function physicalVolumeSize(size: bigint, stripeBytes: bigint): bigint {
  // The first extent starts after 1 MiB of metadata, at a multiple of the stripe or of what the disk asks for.
  const reserve = stripeBytes + extentBytes;
  return size > reserve ? roundDown(size - reserve, extentBytes) : 0n;
}

/** What LVM aligns its first extent to on such an array. */
export function stripeBytes(level: number, members: number): bigint {
  return level === 1 ? 0n : chunkBytes * (level === 10 ? BigInt(members) : dataMembers(level, members));
}

function dataMembers(level: number, members: number): bigint {
  const parity = level === 6 ? 2 : level === 4 || level === 5 ? 1 : 0;
  return level === 1 ? 1n : BigInt(Math.max(0, members - parity));
}

// With metadata 1.2 the data starts after the superblock, the bitmap and a headroom for reshaping, rounded up
// to a MiB. mdadm's headroom is about a thousandth of the member, at most 128 MiB, and not below a few chunks.
function metadataReserve(member: bigint): bigint {
  const thousandth = roundDown(member / 1024n, mib) + mib;
  const most = 128n * mib;
  const headroom = thousandth > most ? most : thousandth;
  return (headroom < 4n * mib ? 4n * mib : headroom) + (member > 100n * gib ? 4n : 2n) * mib;
}
