// Sizes of volumes that take more of their group than they have.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { LvSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { planDisks } from "./disk-plan.ts";
import { disk, machine, mirror } from "./scheme-fixture.ts";
import { gib, mib } from "./size.ts";

/** Volumes on the partitions of as many disks, beside a root of 1 GiB. */
function planned(count: number, sizeBytes: bigint, lvs: object[]): DiskPlan {
  const scheme = mirror((s) => {
    s.mds = [];
    Object.assign(s.disks[0] ?? {}, { count });
    Object.assign(s.parteds[0]?.partitions[2] ?? {}, { flags: ["lvm"] });
    Object.assign(s.vgs[0] ?? {}, { devices: ["partition/os"] });
    s.lvs = [{ name: "root", size: "1 GiB" }, ...lvs].map((lv) => create(LvSchema, { vg: "vg0", ...lv }));
    s.fss.splice(1, 2);
  });
  const disks = Array.from({ length: count }, (_, i) => disk(`vd${"abc"[i]}`, { sizeBytes }));
  const result = planDisks(scheme, machine(...disks), { protectedDisks: [] });
  if (!result.ok) throw new Error(result.faults.map(({ message }) => message).join("\n"));
  return result.plan;
}

const named = (plan: DiskPlan, wanted: string) => plan.lvs.find(({ name }) => name === wanted);

describe("a striped volume", () => {
  it("is never smaller than was asked for", () => {
    const fast = named(planned(3, 20n * gib, [{ name: "fast", type: "striped", size: "10 GiB" }]), "fast");
    // 2560 extents are no multiple of three.
    expect(fast?.sizeBytes).toBe(2562n * 4n * mib);
  });

  it("of what remains has whole stripes of it", () => {
    const { lvs, vgs } = planned(3, 20n * gib, [{ name: "fast", type: "striped", size: "remaining" }]);
    const left = (vgs[0]?.sizeBytes ?? 0n) - lvs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n);
    expect([left >= 0n, left < 12n * mib]).toEqual([true, true]);
  });
});

describe("a thin pool", () => {
  it("of what remains leaves room for its metadata, also where the chunks become larger", () => {
    for (let extra = 1024n; extra <= 1600n; extra += 4n) {
      const sizeBytes = 128n * gib + 66n * mib + extra * mib;
      const { lvs, vgs } = planned(1, sizeBytes, [{ name: "pool", type: "thin_pool", size: "remaining" }]);
      const taken = lvs.reduce((sum, lv) => sum + lv.sizeBytes + 2n * lv.metadataBytes, 0n);
      expect(taken).toBeLessThanOrEqual(vgs[0]?.sizeBytes ?? 0n);
    }
  });
});
