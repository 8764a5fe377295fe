import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { DiskAction, type DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { FsSchema, PartedSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { applied } from "./applied-fixture.ts";
import { altered, keeping, planned, refusals, two, used, word } from "./keep-fixture.ts";
import { disk, machine, mirror } from "./scheme-fixture.ts";
import { gib } from "./size.ts";

describe("data that is kept", () => {
  it("keeps all that it lies on, and nothing else", () => {
    const plan = planned(keeping(), used);
    const actions = (items: { name: string; action: DiskAction }[]) =>
      items.map(({ name, action }) => [name, word(action)]);
    expect(plan.disks.map(({ table }) => word(table))).toEqual(["KEEP", "KEEP"]);
    expect(actions(plan.disks[0]?.partitions ?? [])).toEqual([
      ["bios", "CREATE"],
      ["esp", "CREATE"],
      ["os", "KEEP"],
    ]);
    expect(actions(plan.mds)).toEqual([["os", "KEEP"]]);
    expect(actions(plan.vgs)).toEqual([["vg0", "KEEP"]]);
    expect(plan.vgs[0]?.removes).toEqual(["root", "swap"]);
    expect(actions(plan.lvs)).toEqual([
      ["root", "CREATE"],
      ["swap", "CREATE"],
      ["data", "KEEP"],
    ]);
    expect(plan.fss.map(({ mount, action }) => [mount, word(action)])).toEqual([
      ["/", "CREATE"],
      ["", "CREATE"],
      ["/srv", "KEEP"],
      ["/boot/efi", "CREATE"],
    ]);
  });

  it("has its place to the sector, and what is gone and what stays is said", () => {
    const before = planned(mirror(), two);
    const after = planned(keeping(), used);
    const places = ({ disks }: DiskPlan) =>
      disks.map((one) => one.partitions.map(({ number, firstLba, lastLba }) => [number, firstLba, lastLba]));
    expect(places(after)).toEqual(places(before));
    const [vda] = after.disks;
    expect(vda?.removes.map(({ number, firstLba, lastLba }) => [number, firstLba, lastLba])).toEqual([
      [1, 2048n, 4095n],
      [2, 4096n, 135167n],
    ]);
    expect(vda?.destroys).toEqual([
      "partition vda1, 1 MiB",
      'partition vda2, 64 MiB, vfat, "ESP"',
      "volume vg0-root, 4 GiB, ext4",
      "volume vg0-swap, 1016 MiB, swap",
    ]);
    expect(vda?.keeps).toEqual([
      "partition vda3, 9.9 GiB, member of a RAID",
      "RAID 1 md127, 9.9 GiB, physical volume of LVM",
      "volume vg0-data, 4.9 GiB, xfs",
    ]);
    expect(vda?.before.map(({ name, kept }) => [name, kept])).toEqual([
      ["vda1", false],
      ["vda2", false],
      ["vda3", true],
    ]);
  });

  it("is made where the disks are empty", () => {
    const plan = planned(keeping(), two);
    expect(plan.fss.map(({ action }) => word(action))).toEqual(["CREATE", "CREATE", "CREATE", "CREATE"]);
    expect(plan.disks.map(({ table }) => word(table))).toEqual(["CREATE", "CREATE"]);
  });

  it("changes nothing else when the rest is planned again", () => {
    const plan = planned(keeping(), used);
    expect(planned(keeping(), applied(plan, used)).lvs).toEqual(plan.lvs);
  });
});

describe("a disk of which nothing is lost", () => {
  it("says so", () => {
    const data = mirror((s) => {
      s.disks.push({ ...(s.disks[0] ?? fail()), id: "data", hints: { serial: "serial-sdc" }, count: 1 });
      const keepData = true;
      s.parteds.push(
        create(PartedSchema, {
          disks: "data",
          partitions: [{ name: "archive", size: "remaining", keepData }],
        }),
      );
      s.fss.push(create(FsSchema, { device: "partition/archive", type: "xfs", mount: "/archive", keepData }));
    });
    const three = machine(disk("vda"), disk("vdb"), disk("sdc", { tran: "sata" }));
    const again = planned(data, applied(planned(data, three), three));
    expect(again.disks[2]?.destroys).toEqual(["nothing: what is on it stays"]);
    expect(again.disks[2]?.partitions.map(({ action }) => word(action))).toEqual(["KEEP"]);
    expect(again.disks[0]?.table).toBe(DiskAction.CREATE);
  });
});

function fail(): never {
  throw new Error("the fixture has changed");
}

describe("what differs is refused, with the differences:", () => {
  it("a replaced disk", () => {
    const inventory = altered((one) => {
      one.contents = [];
    });
    expect(refusals(keeping(), inventory)).toEqual([
      "lv/vg0/data keeps its data, but vda (QEMU, serial serial-vda, 10 GiB) is empty and another of its disks is not: a disk may have been replaced; repair it in the running system first, or remove keep_data",
    ]);
  });

  it("another system on the disk", () => {
    const inventory = altered((one) => {
      for (const content of one.contents) content.partName = "windows";
    });
    expect(refusals(keeping(), inventory)[0]).toBe(
      "partition/os/0/os keeps its data, but vda (QEMU, serial serial-vda, 10 GiB) has no such partition; its partitions: vda1 (windows), vda2 (windows), vda3 (windows)",
    );
  });

  it("another table", () => {
    const inventory = altered((one) => {
      one.tableType = "dos";
    });
    expect(refusals(keeping(), inventory)[0]).toContain("has a table of type msdos, not gpt");
  });

  it("a partition of another type", () => {
    const inventory = altered((one) => {
      for (const content of one.contents.slice(-1)) content.partType = "";
      const os = one.contents.find(({ partName }) => partName === "os");
      if (os) os.partType = "0fc63daf-8483-4772-8e79-3d69d8477de4";
    });
    expect(refusals(keeping(), inventory)).toEqual([
      "partition/os/0/os keeps its data, but vda3 of vda (QEMU, serial serial-vda, 10 GiB) is not as described:\n" +
        "  type: wanted RAID (fd00), found Linux (0fc63daf-8483-4772-8e79-3d69d8477de4)",
    ]);
  });

  it("a size that would shrink or grow", () => {
    const smaller = keeping((s) => Object.assign(s.lvs[2] ?? {}, { size: "2 GiB" }));
    expect(refusals(smaller, used)).toEqual([
      "lv vg0/data keeps its data, but is not as described:\n  size: wanted 2 GiB, found 4.9 GiB",
    ]);
    const bounded = keeping((s) => Object.assign(s.lvs[2] ?? {}, { max: "4 GiB" }));
    expect(refusals(bounded, used)[0]).toContain("size: wanted at most 4 GiB, found 4.9 GiB");
  });

  it("a file system of another type or label", () => {
    const other = keeping((s) => Object.assign(s.fss[2] ?? {}, { type: "ext4", label: "srv" }));
    expect(refusals(other, used)).toEqual([
      "lv/vg0/data (vg0-data) keeps its data, but its file system is not as described:\n" +
        "  type: wanted ext4, found xfs\n  label: wanted srv, found none",
    ]);
  });

  it("another level", () => {
    const inventory = altered(() => {});
    for (const one of inventory.disks)
      for (const content of one.contents) content.type = content.type.replace("raid1", "raid0");
    expect(refusals(keeping(), inventory)).toEqual([
      "md os keeps its data, but md127 is not as described:\n  level: wanted raid1, found raid0",
    ]);
  });

  it("what cannot be looked into", () => {
    const asleep = altered(() => {});
    for (const one of asleep.disks) one.contents = one.contents.filter(({ type }) => type === "part");
    expect(refusals(keeping(), asleep)[0]).toContain("no array of vda3, vdb3 runs; start it");
    const old = altered((one) => {
      for (const content of one.contents) content.startBytes = 0n;
    });
    expect(refusals(keeping(), old)[0]).toContain("without the places of its partitions");
  });

  it("a group that also lies elsewhere", () => {
    const third = disk("sdc", {
      tran: "sata",
      contents: [
        { name: "sdc1", type: "part", parent: "sdc", fsType: "LVM2_member", sizeBytes: gib },
        { name: "vg0-big", type: "lvm", parent: "sdc1", sizeBytes: gib },
      ],
    });
    const inventory = create(InventorySchema, { disks: [...used.disks, third] });
    expect(refusals(keeping(), inventory)[0]).toBe(
      "vg vg0 keeps its data, but it also lies on sdc1 of sdc, which the scheme does not name",
    );
  });
});
