// What is said of a layout, and the commands that make it.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  DiskPlanSchema,
  PlannedDiskSchema,
  PlannedFsSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { formatBytes } from "./bytes.ts";
import { mkfsCommand } from "./filesystems.ts";
import { sgdiskCommand } from "./gpt.ts";
import { describeStorage } from "./verify.ts";

test("a layout in one line", () => {
  const partitions = [{ name: "bios" }, { name: "esp" }, { name: "os" }];
  const plan = create(DiskPlanSchema, {
    disks: [{ partitions }, { partitions }],
    mds: [{ name: "os", level: 1, devices: ["a", "b"] }],
    vgs: [{ name: "vg0" }],
    lvs: [
      { name: "root", vg: "vg0", sizeBytes: 3n << 30n },
      { name: "swap", vg: "vg0", sizeBytes: 256n << 20n },
    ],
  });
  expect(describeStorage(plan, { arrays: ["[UU]"] })).toBe(
    "2 disks: gpt bios+esp+os; md os raid1 [UU]; vg0: root 3.0 GiB, swap 256 MiB",
  );
});

test.each([
  [0n, "0 B"],
  [1536n, "1.5 KiB"],
  [712n << 20n, "712 MiB"],
  [3n << 30n, "3.0 GiB"],
])("%s bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test("the partition table's command", () => {
  const disk = create(PlannedDiskSchema, {
    partitions: [
      { number: 1, name: "bios", firstLba: 34n, lastLba: 2047n, typeCode: "ef02" },
      { number: 2, name: "os", firstLba: 2048n, lastLba: 9999n, typeCode: "fd00" },
    ],
  });
  expect(sgdiskCommand(disk, "/dev/vda").join(" ")).toBe(
    "sgdisk --clear --set-alignment=1 --new=1:34:2047 --typecode=1:ef02 --change-name=1:bios " +
      "--new=2:2048:9999 --typecode=2:fd00 --change-name=2:os /dev/vda",
  );
});

test.each([
  ["ext4", "r", "mkfs.ext4 -q -F -L r /dev/x"],
  ["xfs", "", "mkfs.xfs -q -f /dev/x"],
  ["vfat", "ESP", "mkfs.vfat -F 32 -n ESP /dev/x"],
  ["swap", "s", "mkswap --force -L s /dev/x"],
])("making %s", (type, label, command) => {
  expect(mkfsCommand(create(PlannedFsSchema, { type, label }), "/dev/x").join(" ")).toBe(command);
});

test("another file system is refused", () => {
  expect(() => mkfsCommand(create(PlannedFsSchema, { type: "zfs" }), "/dev/x")).toThrow(
    "only ext4, xfs, vfat",
  );
});
