// The order of mounting, and reading mountinfo.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { mountPoints, planMounts } from "./mounts.ts";

test("root is mounted first, then by depth; swap and unmounted file systems not at all", () => {
  const plan = create(DiskPlanSchema, {
    fss: [
      { device: "d/efi", type: "vfat", mount: "/boot/efi" },
      { device: "d/swap", type: "swap" },
      { device: "d/var", type: "xfs", mount: "/var" },
      { device: "d/root", type: "ext4", mount: "/" },
    ],
  });
  const devices = new Map(plan.fss.map(({ device }) => [device, `/dev/${device.slice(2)}`]));
  expect(planMounts(plan, devices, "/mnt/m").map(({ source, target }) => `${source} ${target}`)).toEqual([
    "/dev/root /mnt/m",
    "/dev/var /mnt/m/var",
    "/dev/efi /mnt/m/boot/efi",
  ]);
});

test("mount points of a mountinfo file", () => {
  const text = "22 27 0:21 / /proc rw - proc proc rw\n43 27 259:0 / /mnt/a\\040b rw - ext4 /dev/vda1 rw\n";
  expect(mountPoints(text)).toEqual(["/proc", "/mnt/a b"]);
});
