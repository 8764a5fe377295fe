// The scheme and the machine that the tests of the disk planner start from.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Disk,
  DiskSchema,
  type Inventory,
  InventorySchema,
} from "../../proto/gen/muster/v1/inventory_pb.ts";
import {
  FsSchema,
  MdSchema,
  PartitionSchema,
  type SchemeSpec,
  SchemeSpecSchema,
} from "../../proto/gen/muster/v1/manifest_pb.ts";
import { gib } from "./size.ts";

/** Two mirrored disks for BIOS and UEFI, with root, swap and data as volumes. */
export function mirror(change: (scheme: SchemeSpec) => void = () => {}): SchemeSpec {
  const scheme = create(SchemeSpecSchema, {
    name: "mirror",
    disks: [{ id: "os", hints: { tran: "virtio" }, count: 2 }],
    parteds: [
      {
        disks: "os",
        partitions: [
          { name: "bios", size: "1 MiB", flags: ["bios_grub"] },
          { name: "esp", size: "64 MiB", flags: ["esp"] },
          { name: "os", size: "remaining", flags: ["raid"] },
        ],
      },
    ],
    mds: [{ name: "os", level: 1, devices: ["partition/os"] }],
    vgs: [{ name: "vg0", devices: ["md/os"] }],
    lvs: [
      { name: "root", vg: "vg0", size: "4 GiB" },
      { name: "swap", vg: "vg0", size: "10%" },
      { name: "data", vg: "vg0", size: "remaining" },
    ],
    fss: [
      { device: "lv/vg0/root", type: "ext4", mount: "/" },
      { device: "lv/vg0/swap", type: "swap" },
      { device: "lv/vg0/data", type: "xfs", mount: "/srv" },
      { device: "partition/esp", type: "vfat", mount: "/boot/efi", label: "ESP" },
    ],
  });
  change(scheme);
  return scheme;
}

/** The mirror with its kernels on a mirror of their own, so that the large array can be of any kind. */
export function mirrorBesideBoot(change: (scheme: SchemeSpec) => void = () => {}): SchemeSpec {
  return mirror((scheme) => {
    scheme.parteds[0]?.partitions.splice(
      2,
      0,
      create(PartitionSchema, { name: "boot", size: "1 GiB", flags: ["raid"] }),
    );
    scheme.mds.push(create(MdSchema, { name: "boot", level: 1, devices: ["partition/boot"] }));
    scheme.fss.push(create(FsSchema, { device: "md/boot", type: "ext4", mount: "/boot" }));
    change(scheme);
  });
}

export function disk(name: string, change: MessageInitShape<typeof DiskSchema> = {}): Disk {
  return create(DiskSchema, {
    name,
    model: "QEMU",
    serial: `serial-${name}`,
    tran: "virtio",
    sizeBytes: 10n * gib,
    logicalSectorBytes: 512,
    physicalSectorBytes: 512,
    ...change,
  });
}

export function machine(...disks: Disk[]): Inventory {
  return create(InventorySchema, { disks });
}
