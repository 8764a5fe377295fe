import { describe, expect, it } from "vitest";
import { mib } from "../size.ts";
import { converted, faults, places, planned } from "./convert-fixture.ts";

describe("nailgun", () => {
  const link = (name: string) => `disk/by-id/ata-DISK_${name}`;
  const boot = { type: "boot", size: 300 };
  const space = (name: string, volumes: object[], more = {}) => ({
    type: "disk",
    id: name,
    name,
    size: 65536,
    extra: [link(name), `disk/by-id/scsi-${name}`],
    free_space: 60000,
    volumes: [
      boot,
      { type: "raid", mount: "/boot", size: 200, file_system: "ext2", name: "Boot" },
      ...volumes,
    ],
    ...more,
  });
  const pv = (vg: string, size: number) => ({ type: "pv", vg, size, lvm_meta_size: size ? 64 : 0 });
  const spaces = [
    space("sda", [{ type: "lvm_meta_pool", size: 0 }, pv("os", 20000), pv("image", 30000)]),
    space("sdb", [pv("os", 0), pv("image", 40000)]),
    {
      type: "vg",
      id: "os",
      label: "Base System",
      min_size: 19374,
      _allocate_size: "min",
      volumes: [
        { type: "lv", name: "root", mount: "/", size: 15360, file_system: "ext4" },
        { type: "lv", name: "swap", mount: "swap", size: 4012, file_system: "swap" },
      ],
    },
    {
      type: "vg",
      id: "image",
      label: "Image Storage",
      min_size: 5120,
      _allocate_size: "all",
      volumes: [{ type: "lv", name: "glance", mount: "/var/lib/glance", size: 69700, file_system: "xfs" }],
    },
  ];
  const data = { ks_meta: { pm_data: { ks_spaces: spaces } }, profile: "ubuntu_1404_x86_64" };

  it("becomes what its agent would make: GRUB's and the later ESP's partitions, one /boot, and the groups", () => {
    const scheme = converted("nailgun", data);
    expect(scheme.disks[0]?.hints).toEqual({
      by_id: "<or> /dev/disk/by-id/ata-DISK_sda <or> /dev/disk/by-id/scsi-sda",
    });
    expect(places(scheme)).toEqual([
      ["sda", "1 1+24 ef02", "2 25+200 8300", "3 225+200 8300", "4 425+20000 8e00", "5 20425+30000 8e00"],
      ["sdb", "1 1+24 ef02", "2 25+200 8300", "3 225+40000 8e00"],
    ]);
    const plan = planned(scheme);
    expect(plan.vgs.map(({ name, devices }) => [name, devices.length])).toEqual([
      ["os", 1],
      ["image", 2],
    ]);
    expect(plan.pvs[0]).toMatchObject({ metadataBytes: 28n * mib, metadataCopies: 2 });
    expect(plan.fss.map(({ mount, type }) => `${type} ${mount}`)).toEqual([
      "ext2 /boot",
      "ext4 /",
      "swap ",
      "xfs /var/lib/glance",
    ]);
  });

  it("leaves a disk alone that has nothing on it, and takes the list by itself", () => {
    const [first, second, ...groups] = structuredClone(spaces);
    Object.assign(second ?? {}, { volumes: [boot] });
    const [image] = groups.splice(1, 1);
    expect(image?.id).toBe("image");
    const volumes = (first as { volumes: object[] }).volumes.filter(
      (volume) => !("vg" in volume) || volume.vg !== "image",
    );
    const scheme = converted("nailgun", [{ ...first, volumes }, second, ...groups]);
    expect(planned(scheme).disks.map(({ lastName }) => lastName)).toEqual(["sda"]);
  });

  it("mirrors what is of type raid, and cuts Ceph's journals", () => {
    const raid = { type: "raid", mount: "/", size: 10000, file_system: "ext4", name: "root" };
    const scheme = converted("nailgun", [
      space("sda", [
        raid,
        {
          type: "partition",
          name: "ceph",
          mount: "none",
          size: 9000,
          partition_guid: "4fbd7e29-9d25-41b8-afd0-062c0ceff05d",
        },
      ]),
      space("sdb", [
        raid,
        {
          type: "partition",
          name: "cephjournal",
          mount: "none",
          size: 4000,
          partition_guid: "45b0969e-9b03-4f30-b4c6-b4b80ceff106",
        },
      ]),
    ]);
    expect(planned(scheme).mds[0]).toMatchObject({
      level: 1,
      devices: ["partition/sda/0/sda-root", "partition/sdb/0/sdb-root"],
    });
    expect(places(scheme)[1]?.at(-1)).toBe("4 10225+4000 45B0969E-9B03-4F30-B4C6-B4B80CEFF106");
  });

  it("says by its path what cannot be expressed", () => {
    const broken = structuredClone(data);
    const [first, , os] = broken.ks_meta.pm_data.ks_spaces;
    Object.assign((first as { volumes: object[] }).volumes[3] ?? {}, { type: "zfs" });
    Object.assign(os ?? {}, { id: "is" });
    expect(faults("nailgun", broken)).toEqual([
      "ks_meta.pm_data.ks_spaces[0].volumes[3].type: is pv, partition, raid, boot or lvm_meta_pool; found zfs",
      "ks_meta.pm_data.ks_spaces[2].id: no disk has a pv for the group is",
    ]);
  });
});
