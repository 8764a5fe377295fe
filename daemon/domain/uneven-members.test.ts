// RAID 0 uses all of its members, also where one is larger. GRUB does not know how.
import { expect, it } from "vitest";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { planDisks } from "./disk-plan.ts";
import { disk, machine, mirror, mirrorBesideBoot } from "./scheme-fixture.ts";
import { gib, mib } from "./size.ts";

const striped = (scheme: SchemeSpec) => Object.assign(scheme.mds[0] ?? {}, { level: 0 });

/** On a disk of 10 GiB and another one. */
const result = (scheme: SchemeSpec, second: bigint) =>
  planDisks(scheme, machine(disk("vda"), disk("vdb", { sizeBytes: second })), { protectedDisks: [] });

function planned(second: bigint): DiskPlan {
  const plan = result(mirrorBesideBoot(striped), second);
  if (!plan.ok) throw new Error(JSON.stringify(plan.faults));
  return plan.plan;
}

it("all of each member is used, which is slower beyond the smallest", () => {
  const [uneven, even] = [planned(20n * gib), planned(10n * gib)];
  const more = (uneven.mds[0]?.sizeBytes ?? 0n) - (even.mds[0]?.sizeBytes ?? 0n);
  // Less a little more metadata on both.
  expect([more > 10_200n * mib, more <= 10_240n * mib]).toEqual([true, true]);
  expect(uneven.warnings).toEqual([
    "md os: its members have from 8.9 GiB to 18.9 GiB; all of it is used, but what lies beyond 8.9 GiB is striped over fewer of them",
  ]);
  expect(even.warnings).toEqual([]);
});

it("no kernel may lie on it, where GRUB would read something else", () => {
  const refused = result(mirror(striped), 20n * gib);
  expect(refused.ok ? [] : refused.faults.map(({ message }) => message)).toEqual([
    "md os: GRUB reads RAID 0 only from members of one size, and a kernel would be on it; give the partitions a fixed size, or put /boot on a partition or another md",
  ]);
  expect(result(mirror(striped), 10n * gib).ok).toBe(true);
});
