import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { DiskAction } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import {
  LuksSchema,
  LvSchema,
  PartitionSchema,
  type SchemeSpec,
} from "../../proto/gen/muster/v1/manifest_pb.ts";
import { applied } from "./applied-fixture.ts";
import { planDisks } from "./disk-plan.ts";
import { altered, keeping, planned, refusals, two, used, word } from "./keep-fixture.ts";
import { mirror } from "./scheme-fixture.ts";
import { mib } from "./size.ts";

describe("what the scheme does not name, beside what is kept,", () => {
  const withHome = applied(
    planned(
      mirror((s) => {
        Object.assign(s.lvs[2] ?? {}, { size: "2 GiB" });
        s.lvs.push(create(LvSchema, { name: "home", vg: "vg0", size: "1 GiB" }));
      }),
      two,
    ),
    two,
  );

  it("is refused until the scheme says what becomes of it", () => {
    expect(refusals(keeping(), withHome)).toEqual([
      "vg vg0 is kept and has volumes that the scheme does not name: home; say `others: keep` or `others: wipe` for it",
    ]);
  });

  it("stays, or goes", () => {
    const plan = (others: string) =>
      planned(
        keeping((s) => Object.assign(s.vgs[0] ?? {}, { others })),
        withHome,
      );
    expect(plan("wipe").vgs[0]?.removes).toEqual(["home", "root", "swap"]);
    expect(plan("keep").vgs[0]?.removes).toEqual(["root", "swap"]);
    expect(plan("keep").disks[0]?.keeps.join()).toContain("vg0-home");
    // New volumes have only what the kept ones leave.
    const greedy = keeping((s) => {
      Object.assign(s.vgs[0] ?? {}, { others: "keep" });
      Object.assign(s.lvs[0] ?? {}, { size: "remaining" });
      Object.assign(s.lvs[2] ?? {}, { size: "2 GiB" });
    });
    const [root, swap] = planned(greedy, withHome).lvs;
    expect([root?.sizeBytes, swap?.sizeBytes].map((size) => (size ?? 0n) / mib)).toEqual([6072n, 1016n]);
  });

  it("is gone around where a table stays", () => {
    const scheme = (change: (s: SchemeSpec) => void) =>
      mirror((s) => {
        s.lvs = [];
        s.vgs = [];
        s.mds = [];
        Object.assign(s.disks[0] ?? {}, { count: 1, hints: { serial: "serial-vda" } });
        const [bios] = s.parteds[0]?.partitions ?? [];
        if (s.parteds[0] && bios) s.parteds[0].partitions = [bios];
        s.parteds[0]?.partitions.push(
          create(PartitionSchema, { name: "root", size: "4 GiB" }),
          create(PartitionSchema, { name: "data", size: "2 GiB" }),
          create(PartitionSchema, { name: "spare", size: "remaining" }),
        );
        s.fss = s.fss.slice(0, 1);
        Object.assign(s.fss[0] ?? {}, { device: "partition/root" });
        change(s);
      });
    const first = planned(
      scheme(() => {}),
      two,
    );
    const there = applied(first, two);
    // The second time `data` is not named, and what is new goes beside it.
    const next = (others: string) =>
      scheme((s) => {
        const [parted] = s.parteds;
        if (!parted) return;
        parted.others = others;
        parted.partitions = parted.partitions.filter(({ name }) => name !== "data");
        parted.partitions.push(create(PartitionSchema, { name: "more", size: "100 MiB" }));
      });
    expect(planned(next(""), there).disks[0]?.table).toBe(DiskAction.CREATE);
    const { disks } = planned(next("keep"), there);
    expect(disks[0]?.table).toBe(DiskAction.KEEP);
    expect(disks[0]?.removes.map(({ number }) => number)).toEqual([1, 2, 4]);
    expect(disks[0]?.keeps).toEqual(["partition vda3, 2 GiB"]);
    const data = first.disks[0]?.partitions.find(({ name }) => name === "data");
    for (const part of disks[0]?.partitions ?? []) {
      expect(part.lastLba < (data?.firstLba ?? 0n) || part.firstLba > (data?.lastLba ?? 0n)).toBe(true);
      expect(part.number).not.toBe(3);
    }
  });

  it("and lies on a protected disk too, is never harmed", () => {
    const shared = altered(() => {});
    const protectedDisks = ["serial-vdb"];
    const single = mirror((s) => {
      Object.assign(s.disks[0] ?? {}, { count: 1, hints: { serial: "serial-vda" } });
      s.mds = [];
      Object.assign(s.vgs[0] ?? {}, { devices: ["partition/os"] });
      Object.assign(s.parteds[0]?.partitions[2] ?? {}, { flags: ["lvm"] });
    });
    const refused = planDisks(single, shared, { protectedDisks });
    expect(refused.ok ? [] : refused.faults.map(({ message }) => message)).toEqual([
      "md127, volume group vg0 of vda (QEMU, serial serial-vda, 10 GiB) also lies on vdb (QEMU, serial serial-vdb, 10 GiB), which is protected, and would be destroyed with it",
    ]);
    expect(planned(single, shared).warnings[0]).toContain("which this plan does not touch");
    // Nothing runs on its members, and they are still one array.
    const stopped = create(InventorySchema, structuredClone(used));
    for (const one of stopped.disks) {
      one.contents = one.contents.filter(({ type }) => type === "part");
      for (const content of one.contents) if (content.fsType === "linux_raid_member") content.uuid = "b1f7";
    }
    const torn = planDisks(single, stopped, { protectedDisks });
    expect(torn.ok ? [] : torn.faults.map(({ message }) => message)).toEqual([
      "array b1f7 of vda (QEMU, serial serial-vda, 10 GiB) also lies on vdb (QEMU, serial serial-vdb, 10 GiB), which is protected, and would be destroyed with it",
    ]);
  });
});

describe("an encrypted device that is kept", () => {
  const encrypted = (change: (s: SchemeSpec) => void = () => {}) =>
    mirror((s) => {
      s.luks.push(create(LuksSchema, { name: "data", device: "lv/vg0/data", secret: "disk" }));
      Object.assign(s.fss[2] ?? {}, { device: "luks/data" });
      change(s);
    });
  const there = applied(planned(encrypted(), two), two);

  it("stays with what is in it", () => {
    const plan = planned(
      encrypted((s) => Object.assign(s.fss[2] ?? {}, { keepData: true })),
      there,
    );
    expect(plan.luks.map(({ action }) => word(action))).toEqual(["KEEP"]);
    expect(plan.fss[2]?.action).toBe(DiskAction.KEEP);
  });

  it("must be open, as nothing else could be checked", () => {
    const locked = create(InventorySchema, structuredClone(there));
    for (const one of locked.disks) one.contents = one.contents.filter(({ type }) => type !== "crypt");
    const scheme = encrypted((s) => Object.assign(s.fss[2] ?? {}, { keepData: true }));
    expect(refusals(scheme, locked)[0]).toContain("vg0-data is locked");
  });
});
