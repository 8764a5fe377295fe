// What arrays with metadata 0.90 are refused before a disk is wiped for them.
import { expect, it } from "vitest";
import { planDisks } from "./disk-plan.ts";
import { disk, machine, mirrorBesideBoot } from "./scheme-fixture.ts";
import { gib, mib } from "./size.ts";

const tib = 1024n * gib;

/** Why a machine with two disks of these sizes gets no such array. */
function refusals(level: number, sizes: [bigint, bigint], metadata = "0.90"): string[] {
  const scheme = mirrorBesideBoot((s) => Object.assign(s.mds[0] ?? {}, { level, metadata }));
  const [first, second] = sizes;
  const inventory = machine(disk("vda", { sizeBytes: first }), disk("vdb", { sizeBytes: second }));
  const result = planDisks(scheme, inventory, { protectedDisks: [] });
  return result.ok ? [] : result.faults.map(({ message }) => message);
}

it("RAID 0 with members of different sizes", () => {
  const uneven: [bigint, bigint] = [10n * gib, 11n * gib];
  expect(refusals(0, uneven)).toEqual([
    "md os: RAID 0 with metadata 0.90 needs members of one size, and these have from 9149 to 10173 MiB; use metadata 1.0 or 1.2, or give the partitions a fixed size",
  ]);
  expect(refusals(0, uneven, "1.0")).toEqual([]);
  expect(refusals(1, uneven)).toEqual([]);
  expect(refusals(0, [10n * gib, 10n * gib])).toEqual([]);
  // Disks are hardly ever alike to the byte; their partitions are, up to a whole MiB.
  expect(refusals(0, [10n * gib + mib / 4n, 10n * gib + mib / 2n])).toEqual([]);
  expect(refusals(0, [10n * gib, 10n * gib + mib])).toHaveLength(1);
});

it("members of which more than 2 TiB is used, where the metadata writes that down", () => {
  const large = ["md os: metadata 0.90 has members of 2 TiB at most; use 1.0 or 1.2"];
  expect(refusals(1, [3n * tib, 3n * tib])).toEqual(large);
  expect(refusals(1, [3n * tib, 3n * tib], "1.2")).toEqual([]);
  expect(refusals(1, [tib, 3n * tib])).toEqual([]);
  expect(refusals(0, [3n * tib, 3n * tib])).toEqual([]);
});
