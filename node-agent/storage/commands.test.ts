// The commands that make what a plan says, word by word.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  DiskAction,
  PlannedDiskSchema,
  PlannedFsSchema,
  PlannedLuksSchema,
  PlannedLvSchema,
  PlannedPvSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { mkfsCommand } from "./filesystems.ts";
import { sgdiskCommand } from "./gpt.ts";
import type { Identifiers } from "./identifiers.ts";
import { luksFormatCommand } from "./luks.ts";
import { sfdiskScript } from "./msdos.ts";
import { lvcreateCommand, pvcreateCommand } from "./volumes.ts";

const ids: Identifiers = {
  uuid: (device) => `<${device}>`,
  serial: (device) => `<${device}>`,
  physicalVolume: (device) => `<${device}>`,
};
const kept = { table: DiskAction.KEEP, selector: "os" };

describe("partition tables", () => {
  const partitions = [
    { number: 1, name: "bios", firstLba: 34n, lastLba: 2047n, typeCode: "ef02" },
    { number: 2, name: "os", firstLba: 2048n, lastLba: 9999n, typeCode: "fd00", legacyBoot: true },
  ];

  test("a new GPT", () => {
    const disk = create(PlannedDiskSchema, { selector: "os", partitions });
    expect(sgdiskCommand(disk, "/dev/vda", ids, undefined).join(" ")).toBe(
      "sgdisk --clear --set-alignment=1 --new=1:34:2047 --typecode=1:ef02 --change-name=1:bios " +
        "--partition-guid=1:<partition/os/0/bios> --new=2:2048:9999 --typecode=2:fd00 --change-name=2:os " +
        "--partition-guid=2:<partition/os/0/os> --attributes=2:set:2 /dev/vda",
    );
  });

  test("a GPT that stays loses what goes and gets what is new", () => {
    const [bios, os] = partitions;
    const disk = create(PlannedDiskSchema, {
      ...kept,
      partitions: [{ ...bios, action: DiskAction.KEEP }, { ...os }],
      removes: [{ number: 3, firstLba: 2048n, lastLba: 9999n }],
    });
    const place = { firstLba: 2048n, lastLba: 9999n, type: "", uuid: "", active: false };
    const found = { label: "gpt", id: "", partitions: [{ ...place, number: 3 }] };
    expect(sgdiskCommand(disk, "/dev/vda", ids, found).join(" ")).toMatch(
      /^sgdisk --set-alignment=1 --delete=3 --new=2:2048:9999 --typecode=2:fd00 (?!.*--new=1)/,
    );
  });

  test("a new msdos table, with logical partitions", () => {
    const disk = create(PlannedDiskSchema, {
      selector: "os",
      label: "msdos",
      partitions: [
        { number: 1, name: "os", firstLba: 2048n, lastLba: 4095n, typeCode: "fd", active: true },
        { number: 2, name: "rest", firstLba: 4096n, lastLba: 9999n, typeCode: "5", kind: "extended" },
        { number: 5, name: "data", firstLba: 6144n, lastLba: 9999n, typeCode: "83", kind: "logical" },
      ],
    });
    expect(sfdiskScript(disk, "/dev/nvme0n1", ids, undefined)).toBe(`label: dos
label-id: 0x<unfinished/os/0>
unit: sectors

/dev/nvme0n1p1 : start=2048, size=2048, type=fd, bootable
/dev/nvme0n1p2 : start=4096, size=5904, type=5
/dev/nvme0n1p5 : start=6144, size=3856, type=83
`);
  });

  test("an msdos table that stays keeps its identifier and its partitions as they are", () => {
    const disk = create(PlannedDiskSchema, {
      ...kept,
      label: "msdos",
      partitions: [
        { number: 1, firstLba: 63n, lastLba: 99n, typeCode: "83", action: DiskAction.KEEP },
        { number: 3, firstLba: 200n, lastLba: 299n, typeCode: "82" },
      ],
      removes: [{ number: 2, firstLba: 100n, lastLba: 199n }],
    });
    const one = (number: number, firstLba: bigint, lastLba: bigint, type: string) => ({
      ...{ number, firstLba, lastLba, type, uuid: "", active: true },
    });
    const found = {
      label: "msdos",
      id: "0xabcd",
      partitions: [one(1, 63n, 99n, "7"), one(2, 100n, 199n, "83")],
    };
    expect(sfdiskScript(disk, "/dev/sda", ids, found).split("\n").slice(1)).toEqual([
      "label-id: 0xabcd",
      "unit: sectors",
      "",
      "/dev/sda1 : start=63, size=37, type=7, bootable",
      "/dev/sda3 : start=200, size=100, type=82",
      "",
    ]);
  });
});

describe("LVM", () => {
  const devices = new Map([["md/os", "/dev/md127"]]);
  const scope = ["--devices", "/dev/md127"];
  const volume = (lv: MessageInitShape<typeof PlannedLvSchema>) =>
    lvcreateCommand(
      create(PlannedLvSchema, { vg: "vg0", name: "v", sizeBytes: 4n << 20n, ...lv }),
      devices,
      scope,
    )
      .join(" ")
      .replace("lvcreate --yes --devices /dev/md127 --addtag muster --name v ", "");

  test.each([
    [{}, "--type linear --wipesignatures y --zero y --size 4194304b vg0"],
    [
      { type: "striped", stripes: 2, stripeBytes: 65_536n, devices: ["md/os"] },
      "--type striped --stripes 2 --stripesize 65536b --wipesignatures y --zero y --size 4194304b vg0 /dev/md127",
    ],
    [
      { type: "mirror", mirrors: 2 },
      "--type raid1 --mirrors 1 --wipesignatures y --zero y --size 4194304b vg0",
    ],
    [
      { type: "thin_pool", chunkBytes: 65_536n, metadataBytes: 4n << 20n },
      "--type thin-pool --zero y --size 4194304b --chunksize 65536b --poolmetadatasize 4194304b vg0",
    ],
    [{ type: "thin", pool: "p" }, "--type thin --virtualsize 4194304b --thinpool p vg0"],
  ])("a volume %#", (lv, command) => {
    expect(volume(lv)).toBe(command);
  });

  test("another type is refused", () => {
    expect(() => volume({ type: "vdo" })).toThrow("this agent does not know the type vdo");
  });

  test("a physical volume", () => {
    const pv = create(PlannedPvSchema, {
      metadataBytes: 1n << 20n,
      metadataCopies: 2,
      dataAlignmentBytes: 4n << 20n,
    });
    expect(pvcreateCommand(pv, "/dev/md127", "u", scope).join(" ")).toBe(
      "pvcreate --yes --devices /dev/md127 --uuid u --norestorefile --metadatasize 1048576b " +
        "--pvmetadatacopies 2 --dataalignment 4194304b /dev/md127",
    );
  });
});

test("LUKS takes its key from the standard input", () => {
  const luks = create(PlannedLuksSchema, { name: "root", options: ["--cipher=aes-xts-plain64"] });
  expect(luksFormatCommand(luks, "/dev/vda3", "u").join(" ")).toBe(
    "cryptsetup luksFormat --batch-mode --type luks2 --uuid u --key-file=- --cipher=aes-xts-plain64 /dev/vda3",
  );
});

test.each([
  ["ext2", "r", ["-m", "1"], "mkfs.ext2 -q -F -U u -L r -m 1 /dev/x"],
  ["ext4", "r", [], "mkfs.ext4 -q -F -U u -L r /dev/x"],
  ["xfs", "", [], "mkfs.xfs -q -f -m uuid=u /dev/x"],
  ["btrfs", "b", [], "mkfs.btrfs -q -f -U u -L b /dev/x"],
  ["vfat", "ESP", [], "mkfs.vfat -F 32 -i s -n ESP /dev/x"],
  ["swap", "s", [], "mkswap --force --uuid u -L s /dev/x"],
])("making %s", (type, label, mkfsOptions, command) => {
  const fs = create(PlannedFsSchema, { type, label, mkfsOptions });
  expect(mkfsCommand(fs, "/dev/x", { uuid: "u", serial: "s" }).join(" ")).toBe(command);
});

test("another file system is refused", () => {
  const fs = create(PlannedFsSchema, { type: "zfs" });
  expect(() => mkfsCommand(fs, "/dev/x", { uuid: "u", serial: "s" })).toThrow("cannot make it");
});
