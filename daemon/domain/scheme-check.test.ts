import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  type DiskSelectorSchema,
  FsSchema,
  LuksSchema,
  LvSchema,
  MdSchema,
  PartitionSchema,
  type SchemeSpec,
  SchemeSpecSchema,
  SizeByRamSchema,
} from "../../proto/gen/muster/v1/manifest_pb.ts";
import { checkScheme } from "./scheme-check.ts";
import { mirror } from "./scheme-fixture.ts";

function faults(change: (scheme: SchemeSpec) => void): string[] {
  return checkScheme(mirror(change)).map(({ path, message }) => `${path}: ${message}`);
}

const row = (upTo: string, size: string) => create(SizeByRamSchema, { upTo, size });
const set = <T extends object>(target: T | undefined, values: Partial<T>) =>
  Object.assign(target ?? {}, values);

describe("a scheme", () => {
  it("without faults has none", () => {
    expect(faults(() => {})).toEqual([]);
  });

  it("for an image of a whole disk has one disk and no more to say", () => {
    const whole = (wholeDisk: string, ...disks: MessageInitShape<typeof DiskSelectorSchema>[]) =>
      checkScheme(create(SchemeSpecSchema, { name: "w", wholeDisk, disks })).map(
        ({ path, message }) => `${path}: ${message}`,
      );
    expect(whole("os", { id: "os", count: 1 })).toEqual([]);
    expect(whole("so", { id: "os" })).toEqual([
      "whole_disk: there is no disk selector `so`; did you mean `os`?",
    ]);
    expect(whole("os", { id: "os", count: 2 }, { id: "data", hints: { size: "big" } })).toEqual([
      "disks[1].hints.size: is a number of GiB, such as 100 or >= 100; found `big`",
      "disks[0].count: an image of a whole disk goes onto one disk; found 2",
      "disks[1].id: the image goes onto `os` alone; remove these disks",
    ]);
  });

  const table: [string, (scheme: SchemeSpec) => void, string[]][] = [
    [
      "with operating systems that share a root",
      (s) => set(s.fss[2], { os: ["blue", "green"] }),
      ["fss[0].mount: several operating systems (blue, green) would share this; give each a / of its own"],
    ],
    [
      "with an ESP that GRUB's operating system has not",
      (s) => {
        set(s.fss[0], { os: ["blue"] });
        set(s.fss[2], { os: ["green"], mount: "/" });
        set(s.fss[3], { os: ["green"] });
      },
      ["fss[3].os: GRUB comes from blue, which must have the ESP too; add `blue`"],
    ],
    [
      "with a misspelt device",
      (s) => set(s.vgs[0], { devices: ["md/oss"] }),
      ["vgs[0].devices[0]: there is no device `md/oss`; did you mean `md/os`?"],
    ],
    [
      "with a device in the wrong place",
      (s) => set(s.mds[0], { devices: ["lv/vg0/root"] }),
      [
        "mds[0].devices[0]: `lv/vg0/root` cannot be used here; it is one of partition/bios, partition/esp, partition/os",
        "parteds[0].partitions[2].flags: is raid, but nothing uses `partition/os`; add what does, or remove the flag",
      ],
    ],
    [
      "with a device used twice",
      (s) => set(s.fss[2], { device: "lv/vg0/root" }),
      [
        "fss[2].device: `lv/vg0/root` is already used by ext4 / (fss[0].device); it cannot be in xfs /srv too",
      ],
    ],
    [
      "with an unknown selector",
      (s) => set(s.parteds[0], { disks: "so" }),
      [
        "disks[0].id: no parted uses these disks; add one with `disks: os`, or remove them",
        "parteds[0].disks: there is no disk selector `so`; did you mean `os`?",
      ],
    ],
    [
      "with an unknown volume group",
      (s) => set(s.lvs[1], { vg: "vg1" }),
      [
        "lvs[1].vg: there is no volume group `vg1`; did you mean `vg0`?",
        "fss[1].device: there is no device `lv/vg0/swap`; did you mean `lv/vg1/swap`?",
      ],
    ],
    [
      "with a bad hint",
      (s) => set(s.disks[0], { hints: { size: "big" } }),
      ["disks[0].hints.size: is a number of GiB, such as 100 or >= 100; found `big`"],
    ],
    [
      "with two of a name",
      (s) => s.lvs.push(create(LvSchema, { name: "root", vg: "vg0", size: "1 GiB" })),
      ["lvs[3].name: `lv/vg0/root` is already given by lvs[0].name; it must be unique"],
    ],
    [
      "with two of a mount",
      (s) => set(s.fss[2], { mount: "/" }),
      ["fss[2].mount: `/` is already given by fss[0].mount; it must be unique"],
    ],
    [
      "without a root",
      (s) => set(s.fss[0], { mount: "/opt" }),
      ["fss: none is mounted at /; the image goes there"],
    ],
    [
      "with a root of vfat",
      (s) => set(s.fss[0], { type: "vfat" }),
      ["fss[0].type: / is ext2, ext3, ext4, xfs or btrfs; found `vfat`"],
    ],
    [
      "with a mounted swap",
      (s) => set(s.fss[1], { mount: "/x" }),
      ["fss[1].mount: swap is not mounted; remove this line"],
    ],
    [
      "with a file system that is not mounted",
      (s) => set(s.fss[2], { mount: "" }),
      ["fss[2].mount: is missing: where xfs is to be mounted, such as /srv"],
    ],
    [
      "with two that remain",
      (s) => set(s.lvs[0], { size: "remaining" }),
      [
        "lvs[2].size: only one can have what remains of volume group vg0, and lvs[0].size does already; give weights to share it",
      ],
    ],
    [
      "with shares above the whole",
      (s) => set(s.lvs[0], { size: "95%" }),
      ["lvs[1].size: with this the shares of volume group vg0 add up to 105%; make them 100% or less"],
    ],
    [
      "with a mirror of one",
      (s) => set(s.disks[0], { count: 0 }),
      ["mds[0].devices: RAID 1 needs at least 2 members; found 1. Raise the count of the disks"],
    ],
    [
      "with a flag that its use contradicts",
      (s) => set(s.parteds[0]?.partitions[2], { flags: ["lvm"] }),
      ["parteds[0].partitions[2].flags: is lvm, but `partition/os` is used by md/os"],
    ],
    [
      "with an ESP that is not mounted",
      (s) => s.fss.pop(),
      [
        "parteds[0].partitions[1].flags: an ESP needs a file system: add to fss { device: partition/esp, type: vfat, mount: /boot/efi }",
      ],
    ],
    [
      "that cannot boot",
      (s) => {
        s.parteds[0]?.partitions.splice(0, 2);
        s.fss.pop();
      },
      [
        "parteds: no machine could boot from this: add a partition with the flag bios_grub (1 MiB), or esp, or both",
      ],
    ],
    [
      "with one file system on two disks",
      (s) => {
        s.parteds[0]?.partitions.unshift(create(PartitionSchema, { name: "log", size: "1 GiB" }));
        s.fss.push(create(FsSchema, { device: "partition/log", type: "ext4", mount: "/var/log" }));
      },
      ["fss[4].device: `partition/log` is on 2 disks; put it on an md, or on one disk"],
    ],
    [
      "without a size",
      (s) => set(s.lvs[0], { size: "" }),
      ["lvs[0].size: is missing: such as 512 MiB, 20% or remaining"],
    ],
    [
      "with a table of sizes that is not in order",
      (s) =>
        set(s.lvs[0], {
          size: "",
          byRam: [row("8 GiB", "1 GiB"), row("4 GiB", "2 GiB"), row("", "4 GiB")],
        }),
      ["lvs[0].by_ram[1].up_to: is not more than in the row before"],
    ],
    [
      "with begin but not end",
      (s) => set(s.parteds[0]?.partitions[1], { size: "", begin: "2 MiB" }),
      ["parteds[0].partitions[1].end: is missing: begin and end go together"],
    ],
    [
      "with a kernel that GRUB cannot read",
      (s) => {
        s.luks.push(create(LuksSchema, { name: "root", device: "lv/vg0/root", secret: "disk" }));
        set(s.fss[0], { device: "luks/root" });
      },
      [
        "fss[0].device: GRUB cannot open luks/root, where the kernel of / would be; put /boot on a partition, an md or a linear volume",
      ],
    ],
    [
      "with a kept device under a new file system",
      (s) => set(s.lvs[2], { keepData: true }),
      [
        "fss[2].keep_data: `lv/vg0/data` keeps its data, but xfs /srv would be made anew on it; set keep_data here too",
      ],
    ],
    [
      "with an ESP in an array that firmware cannot read",
      (s) => {
        s.mds.push(create(MdSchema, { name: "esp", level: 1, devices: ["partition/esp"] }));
        set(s.fss[3], { device: "md/esp" });
      },
      ["parteds[0].partitions[1].flags: firmware can read md/esp only if it has level 1 and metadata 1.0"],
    ],
    [
      "with words of a GPT for an msdos table",
      (s) => set(s.parteds[0], { label: "msdos" }),
      [
        "parteds[0].partitions[0].flags: bios_grub is for a GPT; in an msdos table GRUB lies before the first partition: remove it",
      ],
    ],
    [
      "with a thin volume without a pool",
      (s) => set(s.lvs[2], { type: "thin", pool: "tank", size: "1 GiB" }),
      ["lvs[2].pool: vg0 has no thin_pool `tank`; there is none"],
    ],
    [
      "with a chunk that no array can have",
      (s) => set(s.mds[0], { level: 0, chunk: "100 KiB" }),
      ["mds[0].chunk: is a power of two from 4 KiB to 64 MiB; found 100 KiB"],
    ],
    [
      "with a device used whole and in part",
      (s) =>
        s.mds.push(create(MdSchema, { name: "b", level: 0, devices: ["partition/os/0", "partition/os/1"] })),
      [
        "mds[1].devices[0]: `partition/os/0` is already used by md/os (mds[0].devices[0]); it cannot be in md/b too",
        "mds[1].devices[1]: `partition/os/1` is already used by md/os (mds[0].devices[0]); it cannot be in md/b too",
      ],
    ],
    [
      "with devices that lie on each other",
      (s) => {
        s.luks.push(create(LuksSchema, { name: "a", device: "lv/vg0/data", secret: "disk" }));
        s.vgs[0]?.devices.push("luks/a");
        s.fss.splice(2, 1);
      },
      [
        "luks[0].device: `lv/vg0/data` lies on luks/a itself",
        "fss[0].device: GRUB cannot open luks/a, where the kernel of / would be; put /boot on a partition, an md or a linear volume",
      ],
    ],
  ];
  const pool = { name: "pool", vg: "vg0", type: "thin_pool", size: "6 GiB" };
  const bootVolume = (s: SchemeSpec, more: { type?: string; pool?: string; size: string }) => {
    s.lvs.splice(2, 1, create(LvSchema, pool), create(LvSchema, { name: "boot", vg: "vg0", ...more }));
    set(s.fss[2], { device: "lv/vg0/boot", type: "ext4", mount: "/boot" });
  };
  const thinRoot = (s: SchemeSpec) =>
    s.lvs.splice(0, 1, create(LvSchema, { ...pool, name: "root", type: "thin", pool: "pool" }));
  const unreadable = (path: string, why: string, mount: string) => [
    `${path}: GRUB cannot ${why}, where the kernel of ${mount} would be; put /boot on a partition, an md or a linear volume`,
  ];
  const booting: [string, (scheme: SchemeSpec) => void, string[]][] = [
    [
      "/boot on a thin volume",
      (s) => bootVolume(s, { type: "thin", pool: "pool", size: "1 GiB" }),
      unreadable("fss[2].device", "read a thin volume", "/boot"),
    ],
    [
      "/ on a thin volume, without a /boot",
      (s) => {
        bootVolume(s, { size: "1 GiB" });
        thinRoot(s);
        set(s.fss[2], { mount: "/srv" });
      },
      unreadable("fss[0].device", "read a thin volume", "/"),
    ],
    [
      "/ on a thin volume, with /boot beside it",
      (s) => {
        bootVolume(s, { size: "1 GiB" });
        thinRoot(s);
      },
      [],
    ],
    [
      "/boot on LUKS2, whatever derives its key",
      (s) => {
        bootVolume(s, { size: "1 GiB" });
        const options = ["--pbkdf=pbkdf2"];
        s.luks.push(create(LuksSchema, { name: "b", device: "lv/vg0/boot", secret: "disk", options }));
        set(s.fss[2], { device: "luks/b" });
      },
      unreadable("fss[2].device", "open luks/b", "/boot"),
    ],
    [
      "/ on LUKS2, with /boot beside it",
      (s) => {
        bootVolume(s, { size: "1 GiB" });
        s.luks.push(create(LuksSchema, { name: "r", device: "lv/vg0/root", secret: "disk" }));
        set(s.fss[0], { device: "luks/r" });
      },
      [],
    ],
  ];
  it.each(booting)("with %s is judged by what GRUB must read", (_, change, expected) => {
    expect(faults(change)).toEqual(expected);
  });

  it.each(table)("%s is refused", (_, change, expected) => {
    expect(faults(change)).toEqual(expected);
  });
});
