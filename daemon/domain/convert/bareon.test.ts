import { describe, expect, it } from "vitest";
import { mib } from "../size.ts";
import { converted, faults, places, planned } from "./convert-fixture.ts";

describe("bareon", () => {
  const partition = (count: number, begin: number, end: number, more = {}) => ({
    name: `/dev/sda${count}`,
    device: "/dev/sda",
    count,
    begin,
    end,
    partition_type: "primary",
    flags: [],
    guid: null,
    configdrive: false,
    keep_data: false,
    ...more,
  });
  const data = {
    partitioning: {
      parteds: [
        {
          name: "/dev/sda",
          label: "gpt",
          install_bootloader: true,
          partitions: [
            partition(1, 1, 25, { flags: ["bios_grub"] }),
            partition(2, 25, 225),
            partition(3, 225, 425),
            partition(4, 425, 20425, { flags: ["lvm"] }),
            partition(5, 20425, 20445, { configdrive: true }),
          ],
        },
      ],
      mds: [],
      pvs: [{ name: "/dev/sda4", metadatasize: 28, metadatacopies: 2, keep_data: false }],
      vgs: [{ name: "os", pvnames: ["/dev/sda4"], keep_data: false }],
      lvs: [
        { name: "root", vgname: "os", size: 15000, keep_data: false },
        { name: "swap", vgname: "os", size: 2048, keep_data: false },
      ],
      fss: [
        {
          device: "/dev/sda3",
          mount: "/boot",
          fs_type: "ext2",
          fs_label: " -L boot ",
          fs_options: "",
          keep_data: false,
        },
        {
          device: "/dev/mapper/os-root",
          mount: "/",
          fs_type: "ext4",
          fs_options: "-m 1",
          fstab_options: "noatime",
        },
        { device: "/dev/mapper/os-swap", mount: "swap", fs_type: "swap" },
      ],
    },
  };

  it("keeps the places of its partitions, and everything else that it says", () => {
    const scheme = converted("bareon", data);
    expect(scheme.disks[0]?.hints).toEqual({ name: "/dev/sda" });
    expect(places(scheme)).toEqual([
      ["sda", "1 1+24 ef02", "2 25+200 8300", "3 225+200 8300", "4 425+20000 8e00", "5 20425+20 8300"],
    ]);
    const plan = planned(scheme);
    expect(plan.disks[0]?.partitions[4]?.configdrive).toBe(true);
    expect(plan.pvs[0]).toMatchObject({ metadataBytes: 28n * mib, metadataCopies: 2 });
    expect(plan.lvs.map(({ name, sizeBytes }) => [name, sizeBytes / mib])).toEqual([
      ["root", 15000n],
      ["swap", 2048n],
    ]);
    expect(
      plan.fss.map(({ mount, type, label, options, mkfsOptions }) => [
        mount,
        type,
        label,
        options,
        mkfsOptions,
      ]),
    ).toEqual([
      ["/boot", "ext2", "boot", "", []],
      ["/", "ext4", "", "noatime", ["-m", "1"]],
      ["", "swap", "", "", []],
    ]);
    expect(plan.warnings[0]).toContain("chosen by the kernel's name");
  });

  it("says by its path what cannot be expressed", () => {
    const broken = structuredClone(data);
    Object.assign(broken.partitioning.parteds[0]?.partitions[1] ?? {}, { flags: ["hidden"], weight: 3 });
    Object.assign(broken.partitioning.fss[0] ?? {}, { device: "/dev/sdz1" });
    expect(faults("bareon", broken)).toEqual([
      "partitioning.parteds[0].partitions[1].weight: has no counterpart in a scheme",
      "partitioning.parteds[0].partitions[1].flags[0]: there is no such flag; it is one of bios_grub, legacy_boot, boot, raid, lvm",
      "partitioning.fss[0].device: there is no device `/dev/sdz1`",
    ]);
    expect(faults("bareon", [])[0]).toBe("parteds: is missing");
  });
});
