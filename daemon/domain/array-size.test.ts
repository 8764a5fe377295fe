import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { arraySize, extentBytes, physicalVolumeSize, stripeBytes } from "./array-size.ts";
import { gib, mib, roundDown, roundUp, tib } from "./size.ts";

// What mdadm 4.2 does with metadata 1.2 and an internal bitmap (super1.c): 12 KiB of superblock and bad block
// log, up to 128 KiB of bitmap, and a headroom that is halved from 128 MiB while it is more than a 1024th of
// the member and, for levels with chunks, more than two chunks.
function dataOffset(member: bigint, chunk: bigint): bigint {
  let headroom = 128n * mib;
  while (headroom * 1024n > member && (chunk === 0n || headroom / 2n >= 2n * chunk)) headroom /= 2n;
  return roundUp(140n * 1024n + headroom, mib);
}

const member = fc.bigInt(20n * mib, 20n * tib);

describe("the planned size of an array", () => {
  it.each([0, 1, 4, 5, 6, 10])("of level %i is never more than mdadm makes, and little less", (level) => {
    fc.assert(
      fc.property(fc.array(member, { minLength: 4, maxLength: 12 }), fc.nat(11), (members, first) => {
        const chunk = level === 1 ? 0n : mib / 2n;
        const offset = dataOffset(members[first % members.length] ?? 0n, chunk);
        const smallest = [...members].sort((a, b) => (a < b ? -1 : 1))[0] ?? 0n;
        const each = roundDown(smallest - offset, chunk || 1n);
        const count = BigInt(members.length);
        const data = { 0: count, 1: 1n, 4: count - 1n, 5: count - 1n, 6: count - 2n }[level];
        const actual = data === undefined ? roundDown((each * count) / 2n, mib / 2n) : each * data;
        const planned = arraySize(level, members);
        expect(planned === 0n || planned <= actual).toBe(true);
        if (planned > 0n) expect(actual - planned).toBeLessThan(140n * mib * count);
      }),
    );
  });

  it("is right for the usual cases", () => {
    expect(arraySize(1, [10n * gib, 10n * gib]) / mib).toBe(10227n);
    expect(arraySize(0, [tib, tib]) / mib).toBe(2n * (1048576n - 132n));
    expect(arraySize(1, [4n * mib, 4n * mib])).toBe(0n);
  });
});

describe("a physical volume", () => {
  it("leaves room for metadata and for the stripe", () => {
    expect(physicalVolumeSize(100n * mib, 0n)).toBe(96n * mib);
    expect(physicalVolumeSize(100n * mib, stripeBytes(5, 5))).toBe(92n * mib);
    expect(physicalVolumeSize(3n * mib, 0n)).toBe(0n);
    expect(physicalVolumeSize(10n * gib, stripeBytes(1, 2)) % extentBytes).toBe(0n);
  });
});
