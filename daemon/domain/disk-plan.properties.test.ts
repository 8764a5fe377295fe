import { clone, equals, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DiskAction,
  type DiskPlan,
  DiskPlanSchema,
  type PlannedDisk,
  PlannedPartitionSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Inventory } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { type SchemeSpec, SchemeSpecSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { applied } from "./applied-fixture.ts";
import { planDisks } from "./disk-plan.ts";
import { keptRefs } from "./kept-devices.ts";
import { anyMachine, anyScheme } from "./scheme-arbitrary.ts";
import { mib } from "./size.ts";

const gptEntries = 16_384n;

function plan(scheme: SchemeSpec, machine: Inventory): DiskPlan | undefined {
  const result = planDisks(scheme, machine, { protectedDisks: ["serial-vdc"] });
  if (!result.ok) expect(result.faults.length).toBeGreaterThan(0);
  return result.ok ? result.plan : undefined;
}

/** Ends within the disk and its tables, in order, without overlap; what is new is aligned. */
function expectSound(disk: PlannedDisk): void {
  const sector = BigInt(disk.logicalSectorBytes);
  const gpt = disk.label === "gpt";
  const first = gpt ? 2n + gptEntries / sector : 1n;
  const sectors = disk.sizeBytes / sector;
  const msdosLast = (sectors < 2n ** 32n ? sectors : 2n ** 32n) - 1n;
  const last = gpt ? sectors - gptEntries / sector - 2n : msdosLast;
  const leaves = disk.partitions.filter(({ kind }) => kind !== "extended");
  let free = first;
  for (const part of leaves) {
    expect(part.firstLba).toBeGreaterThanOrEqual(free);
    expect(part.lastLba).toBeLessThanOrEqual(last);
    expect((part.lastLba - part.firstLba + 1n) * sector).toBe(part.sizeBytes);
    if (part.action === DiskAction.CREATE) {
      expect((part.firstLba * sector) % mib).toBe(0n);
      expect(part.sizeBytes % mib).toBe(0n);
      expect((part.firstLba * sector) % BigInt(disk.physicalSectorBytes)).toBe(0n);
    }
    // The record of a logical partition lies in the room before it.
    free = part.lastLba + 1n;
    if (part.kind === "logical") expect(disk.label).toBe("msdos");
  }
  const extended = disk.partitions.find(({ kind }) => kind === "extended");
  for (const part of leaves) {
    if (!extended) expect(part.kind).not.toBe("logical");
    else if (part.kind === "logical") {
      expect(part.firstLba - extended.firstLba).toBeGreaterThanOrEqual(mib / sector);
      expect(part.lastLba).toBeLessThanOrEqual(extended.lastLba);
    } else expect(part.lastLba < extended.firstLba || part.firstLba > extended.lastLba).toBe(true);
  }
  const numbers = disk.partitions.map(({ number }) => number);
  expect(new Set(numbers).size).toBe(numbers.length);
}

/** Nothing that is new touches what stays, in the scheme or not. */
function expectApart({ logicalSectorBytes, before, partitions }: PlannedDisk): void {
  const sector = BigInt(logicalSectorBytes);
  for (const { startBytes, sizeBytes, kept } of before) {
    if (!kept) continue;
    for (const part of partitions.filter(({ action }) => action === DiskAction.CREATE)) {
      const from = part.firstLba * sector;
      expect(from >= startBytes + sizeBytes || from + part.sizeBytes <= startBytes).toBe(true);
    }
  }
}

/** What is on something is never larger than it. */
function expectFitting({ disks, mds, luks, pvs, vgs, lvs }: DiskPlan): void {
  const size = (device: string): bigint => {
    const [kind, a = "", b = "", c = ""] = device.split("/");
    const partition = () =>
      disks
        .find(({ selector, index }) => selector === a && `${index}` === b)
        ?.partitions.find(({ name }) => name === c);
    if (kind === "md") return mds.find(({ name }) => name === a)?.sizeBytes ?? 0n;
    if (kind === "luks") return luks.find(({ name }) => name === a)?.sizeBytes ?? 0n;
    return partition()?.sizeBytes ?? 0n;
  };
  for (const { devices, componentBytes } of mds)
    for (const device of devices) expect(componentBytes).toBeLessThan(size(device));
  for (const { device, sizeBytes } of luks) expect(sizeBytes).toBeLessThan(size(device));
  for (const vg of vgs) {
    expect(vg.sizeBytes).toBeLessThan(vg.devices.reduce((sum, device) => sum + size(device), 0n));
    expect(pvs.filter((pv) => pv.vg === vg.name).map(({ device }) => device)).toEqual(vg.devices);
    const taken = lvs
      .filter((lv) => lv.vg === vg.name)
      .map((lv) => {
        expect(lv.sizeBytes % vg.extentBytes).toBe(0n);
        if (lv.stripes) expect(lv.sizeBytes % (vg.extentBytes * BigInt(lv.stripes))).toBe(0n);
        if (lv.mirrors) return (lv.sizeBytes + vg.extentBytes) * BigInt(lv.mirrors);
        return lv.sizeBytes + 2n * lv.metadataBytes;
      });
    expect(taken.reduce((sum, one) => sum + one, 0n)).toBeLessThanOrEqual(vg.sizeBytes);
  }
}

describe("any scheme on any machine", () => {
  it("gets a sound plan of its own disks, the same every time, or reasons", () => {
    let planned = 0;
    fc.assert(
      fc.property(anyScheme, anyMachine, (scheme, machine) => {
        const first = plan(scheme, machine);
        const turned = { ...machine, disks: machine.disks.toReversed() };
        const second = plan(scheme, turned);
        expect(second === undefined).toBe(first === undefined);
        if (!first || !second) return;
        planned++;
        expect(toBinary(DiskPlanSchema, second)).toEqual(toBinary(DiskPlanSchema, first));
        expect(first.disks.map(({ lastName }) => lastName)).toEqual(["vda", "vdb"]);
        first.disks.forEach(expectSound);
        expectFitting(first);
      }),
      { numRuns: 400 },
    );
    expect(planned).toBeGreaterThan(40);
  });

  it("keeps what it shall where it lies, planned again on what it has made", () => {
    let kept = 0;
    fc.assert(
      fc.property(anyScheme, anyMachine, (scheme, machine) => {
        const first = plan(scheme, machine);
        if (!first) return;
        const after = applied(first, machine);
        const second = plan(scheme, after);
        // A mirror or a pool is made of parts that the inventory of the fixture does not show.
        const plainVolumes = scheme.lvs.every(({ type }) => type === "linear");
        const shares = scheme.lvs.some(({ size }) => size.endsWith("%"));
        if (!second) {
          const msdos = scheme.parteds.some(
            ({ label, partitions }) => label === "msdos" && partitions.length > 4,
          );
          expect(plainVolumes && !shares && !msdos).toBe(false);
          return;
        }
        second.disks.forEach(expectSound);
        if (keptRefs(scheme).size === 0) return;
        kept++;
        for (const [i, disk] of second.disks.entries()) {
          for (const part of disk.partitions.filter(({ action }) => action === DiskAction.KEEP)) {
            const before = first.disks[i]?.partitions.find(({ name }) => name === part.name);
            expect(before && equals(PlannedPartitionSchema, { ...before, action: part.action }, part)).toBe(
              true,
            );
            for (const { number } of disk.removes) expect(number).not.toBe(part.number);
          }
          expectApart(disk);
        }
        for (const lv of second.lvs.filter(({ action }) => action === DiskAction.KEEP)) {
          expect(second.vgs[0]?.action).toBe(DiskAction.KEEP);
          expect(second.vgs[0]?.removes).not.toContain(lv.name);
        }
      }),
      { numRuns: 400 },
    );
    expect(kept).toBeGreaterThan(10);
  });

  it("goes around what others have there", () => {
    let around = 0;
    fc.assert(
      fc.property(anyScheme, anyMachine, (scheme, machine) => {
        const first = plan(scheme, machine);
        if (!first) return;
        // The next scheme knows nothing of the first one's p0, and must leave it alone.
        const next = clone(SchemeSpecSchema, scheme);
        for (const parted of next.parteds) {
          parted.others = "keep";
          parted.partitions = parted.partitions.filter(({ name }) => name !== "p0");
        }
        const second = plan(next, applied(first, machine));
        if (!second || scheme.parteds[0]?.label !== "gpt") return;
        second.disks.forEach(expectSound);
        second.disks.forEach(expectApart);
        for (const [i, disk] of second.disks.entries()) {
          const p0 = first.disks[i]?.partitions.find(({ name }) => name === "p0");
          if (!p0) continue;
          around++;
          const start = p0.firstLba * BigInt(disk.logicalSectorBytes);
          expect(disk.before.find(({ startBytes }) => startBytes === start)?.kept).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
    expect(around).toBeGreaterThan(10);
  });

  it("never touches a disk that is protected", () => {
    fc.assert(
      fc.property(anyScheme, anyMachine, fc.constantFrom("vda", "vdb"), (scheme, machine, name) => {
        const result = planDisks(scheme, machine, { protectedDisks: [`SERIAL-${name}`] });
        expect(result.ok).toBe(false);
      }),
      { numRuns: 100 },
    );
  });
});
