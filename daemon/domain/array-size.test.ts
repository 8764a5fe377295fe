import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arraySize, encryptedSize, extentBytes, physicalVolumeRoom, stripeBytes } from "./array-size.ts";
import { gib, mib, roundDown, roundUp, tib } from "./size.ts";

// What mdadm 4.2 does with metadata 1.2 and an internal bitmap (super1.c): 12 KiB of superblock and bad block
// log, up to 128 KiB of bitmap, and a headroom that is halved from 128 MiB while it is more than a 1024th of
// the member and, for levels with chunks, more than two chunks.
function dataOffset(member: bigint, chunk: bigint): bigint {
  let headroom = 128n * mib;
  while (headroom * 1024n > member && (chunk === 0n || headroom / 2n >= 2n * chunk)) headroom /= 2n;
  return roundUp(140n * 1024n + headroom, mib);
}

function sizeOf(level: number, members: bigint[], metadata = "1.2"): bigint {
  return arraySize({ level, members, metadata, chunkBytes: mib / 2n }).sizeBytes;
}

const member = fc.bigInt(20n * mib, 20n * tib);

describe("the planned size of an array", () => {
  it.each([0, 1, 4, 5, 6, 10])("of level %i is never more than mdadm makes, and little less", (level) => {
    fc.assert(
      fc.property(fc.array(member, { minLength: 4, maxLength: 12 }), fc.nat(11), (members, first) => {
        const chunk = level === 1 ? 0n : mib / 2n;
        const offset = dataOffset(members[first % members.length] ?? 0n, chunk);
        const smallest = [...members].sort((a, b) => (a < b ? -1 : 1))[0] ?? 0n;
        const used = (size: bigint) => roundDown(size - offset, chunk || 1n);
        const each = used(smallest);
        const count = BigInt(members.length);
        const actual = {
          // Only RAID 0 has a use for what the larger members have more.
          0: members.reduce((sum, size) => sum + used(size), 0n),
          1: each,
          4: each * (count - 1n),
          5: each * (count - 1n),
          6: each * (count - 2n),
          10: roundDown((each * count) / 2n, mib / 2n),
        }[level];
        if (actual === undefined) throw new Error(`no rule for level ${level}`);
        const planned = sizeOf(level, members);
        expect(planned === 0n || planned <= actual).toBe(true);
        if (planned > 0n) expect(actual - planned).toBeLessThan(140n * mib * count);
      }),
    );
  });

  it("is right for the usual cases", () => {
    expect(sizeOf(1, [10n * gib, 10n * gib]) / mib).toBe(10227n);
    expect(sizeOf(0, [tib, tib]) / mib).toBe(2n * (1048576n - 132n));
    expect(sizeOf(0, [tib, 3n * tib]) / mib).toBe(4n * 1048576n - 2n * 132n);
    expect(sizeOf(1, [4n * mib, 4n * mib])).toBe(0n);
  });

  it("is nearly all of the members where the metadata is at their end", () => {
    expect(sizeOf(1, [10n * gib, 10n * gib], "1.0") / mib).toBe(10238n);
    expect(sizeOf(1, [10n * gib, 10n * gib], "0.90") / mib).toBe(10239n);
  });
});

describe("a physical volume", () => {
  const room = (size: bigint, stripe = 0n) => physicalVolumeRoom(size, stripe).extentsBytes;

  it("leaves room for metadata and for the stripe", () => {
    expect(room(100n * mib)).toBe(96n * mib);
    expect(room(101n * mib)).toBe(100n * mib);
    // Four disks of data in a RAID 5 of five: a stripe of 2 MiB.
    expect(stripeBytes(5, 5, mib / 2n)).toBe(2n * mib);
    expect(room(101n * mib, stripeBytes(5, 5, mib / 2n))).toBe(96n * mib);
    expect(room(3n * mib)).toBe(0n);
    expect(room(10n * gib) % extentBytes).toBe(0n);
  });

  // What LVM 2.03.16 made of devices of these sizes (MiB), with these options.
  it.each([
    [1000n, 0n, 0n, 1, 1_044_381_696n],
    [1001n, 0n, 0n, 1, 1_048_576_000n],
    [1001n, 2n * mib, 0n, 1, 1_044_381_696n],
    [1001n, (3n * mib) / 2n, 0n, 1, 1_044_381_696n],
    [1001n, 0n, 0n, 2, 1_044_381_696n],
    [1001n, 0n, 28n * mib, 2, 989_855_744n],
    [1001n, 0n, 16n * mib, 1, 1_031_798_784n],
    [1004n, 0n, mib, 1, 1_048_576_000n],
  ])("of %i MiB is as large as LVM makes it", (size, stripe, metadata, copies, expected) => {
    expect(physicalVolumeRoom(size * mib, stripe, metadata, copies).extentsBytes).toBe(expected);
  });

  it("leaves more for larger metadata and its second copy", () => {
    expect(physicalVolumeRoom(101n * mib, 0n, 16n * mib, 1).extentsBytes).toBe(84n * mib);
    expect(physicalVolumeRoom(101n * mib, 0n, 16n * mib, 2).extentsBytes).toBe(68n * mib);
  });
});

describe("an encrypted device", () => {
  it("has its header before its data", () => {
    expect(encryptedSize(gib, "luks2")).toBe(gib - 16n * mib);
    expect(encryptedSize(mib, "luks1")).toBe(0n);
  });
});
