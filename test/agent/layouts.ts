// Disk plans for loop devices: small, with odd sectors, and between them everything that a plan can say.
import { create } from "@bufbuild/protobuf";
import {
  type DiskPlan,
  DiskPlanSchema,
  PlannedPartitionSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { KernelFeature } from "./kernel.ts";
import { plannedDisk } from "./loop.ts";

export type Layout = {
  name: string;
  needs: KernelFeature[];
  disks: number;
  sizeBytes: number;
  plan(suffix: string): DiskPlan;
};

const mib = 1 << 20;
const sectors = (sizeMib: number) => BigInt(sizeMib * 2048);

/** Partitions one after the other from 1 MiB on, sizes in MiB. */
function row(parts: [name: string, typeCode: string, sizeMib: number][]) {
  let next = 2048n;
  return parts.map(([name, typeCode, sizeMib]) => {
    const firstLba = next;
    next += sectors(sizeMib);
    return { name, typeCode, firstLba, lastLba: next - 1n };
  });
}

/** The same table on every disk, serials D0, D1, ... */
function disks(count: number, sizeBytes: number, parts: [string, string, number][]) {
  return Array.from({ length: count }, (_, index) => plannedDisk(`D${index}`, sizeBytes, row(parts), index));
}

const on = (name: string, disk = 0) => `partition/os/${disk}/${name}`;

/** Every file system that needs no array and no device mapper, on two disks. */
export const plain: Layout = {
  name: "plain",
  needs: [],
  disks: 2,
  sizeBytes: 900 * mib,
  plan: () =>
    create(DiskPlanSchema, {
      disks: disks(2, 900 * mib, [
        ["bios", "ef02", 1],
        ["esp", "ef00", 40],
        ["os", "8300", 64],
        ["old", "8300", 24],
        ["data", "8300", 320],
        ["more", "8300", 128],
        ["swap", "8200", 32],
      ]),
      fss: [
        { device: on("os"), type: "ext4", mount: "/" },
        { device: on("esp"), type: "vfat", mount: "/boot/efi", label: "ESP", copies: [on("esp", 1)] },
        { device: on("old"), type: "ext2", mount: "/old", mkfsOptions: ["-m", "1"] },
        { device: on("old", 1), type: "ext3", mount: "/older" },
        { device: on("data"), type: "xfs", mount: "/data", label: "data" },
        { device: on("more"), type: "btrfs", mount: "/more", label: "more" },
        { device: on("swap"), type: "swap" },
        { device: on("swap", 1), type: "swap", label: "second" },
      ],
      rootDevice: on("os"),
    }),
};

/** An msdos table with logical partitions. */
export const msdos: Layout = {
  name: "msdos",
  needs: [],
  disks: 1,
  sizeBytes: 400 * mib,
  plan: () => {
    const [planned] = disks(1, 400 * mib, [
      ["boot", "83", 64],
      ["os", "83", 64],
      ["rest", "5", 200],
    ]);
    if (!planned) throw new Error("no disk");
    planned.label = "msdos";
    const [boot, , rest] = planned.partitions;
    if (!boot || !rest) throw new Error("no partitions");
    boot.active = true;
    rest.kind = "extended";
    const [start, middle] = [rest.firstLba, rest.firstLba + sectors(100)];
    const logical = (number: number, name: string, typeCode: string, firstLba: bigint, lastLba: bigint) =>
      create(PlannedPartitionSchema, { number, name, typeCode, firstLba, lastLba, kind: "logical" });
    planned.partitions.push(
      logical(5, "var", "83", start + 2048n, middle - 1n),
      logical(6, "swap", "82", middle + 2048n, rest.lastLba),
    );
    return create(DiskPlanSchema, {
      disks: [planned],
      fss: [
        { device: on("os"), type: "ext4", mount: "/" },
        { device: on("boot"), type: "ext3", mount: "/boot" },
        { device: on("var"), type: "ext4", mount: "/var" },
        { device: on("swap"), type: "swap" },
      ],
      rootDevice: on("os"),
    });
  },
};

/** Mirror, volume group, volumes, and an ESP on both disks: what most servers have. */
export const raid1Lvm: Layout = {
  name: "raid1-lvm",
  needs: ["md", "dm"],
  disks: 2,
  sizeBytes: 800 * mib,
  plan: (suffix) =>
    create(DiskPlanSchema, {
      disks: disks(2, 800 * mib, [
        ["bios", "ef02", 1],
        ["esp", "ef00", 40],
        ["os", "fd00", 700],
      ]),
      mds: [{ name: `os${suffix}`, level: 1, devices: [on("os"), on("os", 1)], sizeBytes: 690n << 20n }],
      pvs: [{ device: `md/os${suffix}`, vg: `vg${suffix}` }],
      vgs: [{ name: `vg${suffix}`, devices: [`md/os${suffix}`], extentBytes: 4n << 20n }],
      lvs: [
        { name: "root", vg: `vg${suffix}`, sizeBytes: 128n << 20n },
        { name: "swap", vg: `vg${suffix}`, sizeBytes: 32n << 20n },
        { name: "data", vg: `vg${suffix}`, sizeBytes: 320n << 20n },
      ],
      fss: [
        { device: on("esp"), type: "vfat", mount: "/boot/efi", copies: [on("esp", 1)] },
        { device: `lv/vg${suffix}/root`, type: "ext4", mount: "/" },
        { device: `lv/vg${suffix}/swap`, type: "swap" },
        { device: `lv/vg${suffix}/data`, type: "xfs", mount: "/data" },
      ],
      rootDevice: `lv/vg${suffix}/root`,
      kernelRoot: `/dev/mapper/vg${suffix}-root`,
    }),
};

/** Levels, spares and metadata formats. */
export const arrays: Layout = {
  name: "arrays",
  needs: ["md"],
  disks: 4,
  sizeBytes: 400 * mib,
  plan: (suffix) => {
    const all = (name: string) => [0, 1, 2, 3].map((disk) => on(name, disk));
    return create(DiskPlanSchema, {
      disks: disks(4, 400 * mib, [
        ["boot", "fd00", 32],
        ["five", "fd00", 64],
        ["six", "fd00", 64],
        ["ten", "fd00", 64],
        ["zero", "fd00", 64],
      ]),
      mds: [
        { name: `boot${suffix}`, level: 1, devices: all("boot"), metadata: "0.90" },
        { name: `five${suffix}`, level: 5, devices: all("five").slice(0, 3), spares: all("five").slice(3) },
        { name: `six${suffix}`, level: 6, devices: all("six"), chunkBytes: 65_536n },
        { name: `ten${suffix}`, level: 10, devices: all("ten"), metadata: "1.0" },
        { name: `zero${suffix}`, level: 0, devices: all("zero"), chunkBytes: 131_072n },
      ],
      fss: [
        { device: `md/five${suffix}`, type: "ext4", mount: "/" },
        { device: `md/boot${suffix}`, type: "ext2", mount: "/boot" },
        { device: `md/six${suffix}`, type: "btrfs", mount: "/six" },
        { device: `md/ten${suffix}`, type: "ext4", mount: "/ten" },
        { device: `md/zero${suffix}`, type: "swap" },
      ],
      rootDevice: `md/five${suffix}`,
    });
  },
};

/** Every kind of volume, and a group on an encrypted device. */
export const volumes: Layout = {
  name: "volumes",
  needs: ["dm", "dm-crypt", "dm-thin-pool", "dm-raid"],
  disks: 2,
  sizeBytes: 800 * mib,
  plan: (suffix) => {
    const vg = `vg${suffix}`;
    const safe = `safe${suffix}`;
    return create(DiskPlanSchema, {
      disks: disks(2, 800 * mib, [
        ["lvm", "8e00", 500],
        ["secret", "8309", 200],
      ]),
      luks: [
        // A cheap key derivation, as emulated machines take a minute for the usual one.
        {
          name: `luks${suffix}`,
          device: on("secret"),
          secret: "disk-key",
          type: "luks2",
          options: ["--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"],
        },
      ],
      pvs: [
        { device: on("lvm"), vg, metadataBytes: 2n << 20n, metadataCopies: 2, dataAlignmentBytes: 4n << 20n },
        { device: on("lvm", 1), vg },
        { device: `luks/luks${suffix}`, vg: safe },
      ],
      vgs: [
        { name: safe, devices: [`luks/luks${suffix}`], extentBytes: 4n << 20n },
        { name: vg, devices: [on("lvm"), on("lvm", 1)], extentBytes: 4n << 20n },
      ],
      lvs: [
        { name: "stripes", vg, sizeBytes: 64n << 20n, type: "striped", stripes: 2, stripeBytes: 65_536n },
        { name: "mirror", vg, sizeBytes: 32n << 20n, type: "mirror", mirrors: 2 },
        { name: "placed", vg, sizeBytes: 32n << 20n, devices: [on("lvm", 1)] },
        {
          name: "pool",
          vg,
          sizeBytes: 128n << 20n,
          type: "thin_pool",
          chunkBytes: 65_536n,
          metadataBytes: 4n << 20n,
        },
        { name: "thin", vg, sizeBytes: 512n << 20n, type: "thin", pool: "pool" },
        { name: "root", vg: safe, sizeBytes: 64n << 20n },
      ],
      fss: [
        { device: `lv/${safe}/root`, type: "ext4", mount: "/" },
        { device: `lv/${vg}/stripes`, type: "ext4", mount: "/stripes" },
        { device: `lv/${vg}/mirror`, type: "ext4", mount: "/mirror" },
        { device: `lv/${vg}/placed`, type: "swap" },
        { device: `lv/${vg}/thin`, type: "ext4", mount: "/thin" },
        { device: on("secret", 1), type: "ext4", mount: "/plain" },
      ],
      rootDevice: `lv/${safe}/root`,
    });
  },
};

export const layouts = [plain, msdos, raid1Lvm, arrays, volumes];
