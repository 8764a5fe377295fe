import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { DiskAction, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { plannedCommands } from "./planned-commands.ts";

const sector = { logicalSectorBytes: 512, sizeBytes: 10n << 30n };

describe("the commands of a plan", () => {
  it("are in the order in which they run, on the disks as they were called", () => {
    const plan = create(DiskPlanSchema, {
      disks: [
        {
          ...sector,
          selector: "os",
          serial: "S1",
          lastName: "nvme0n1",
          before: [{ name: "nvme0n1p1", sizeBytes: 1n }],
          partitions: [
            { number: 1, name: "bios", firstLba: 2048n, lastLba: 4095n, typeCode: "ef02" },
            { number: 2, name: "os", firstLba: 4096n, lastLba: 8191n, typeCode: "8309" },
          ],
        },
      ],
      luks: [{ name: "os", device: "partition/os/0/os", secret: "disk", type: "luks2" }],
      fss: [
        { device: "luks/os", type: "ext4", mount: "/" },
        { device: "partition/os/0/bios", type: "swap", label: "s" },
      ],
      rootDevice: "luks/os",
    });
    expect(plannedCommands(plan)).toEqual([
      "wipefs --all /dev/nvme0n1p1",
      "wipefs --all /dev/nvme0n1",
      "sgdisk --zap-all /dev/nvme0n1",
      expect.stringMatching(/^sgdisk --clear .* --new=2:4096:8191 --typecode=2:8309 .* \/dev\/nvme0n1$/),
      "partx --update /dev/nvme0n1",
      "wipefs --all /dev/nvme0n1p1 /dev/nvme0n1p2",
      expect.stringMatching(/^cryptsetup luksFormat .* \/dev\/nvme0n1p2 < SECRET\(disk\)$/),
      "cryptsetup open --key-file=- /dev/nvme0n1p2 os < SECRET(disk)",
      "# the image is written to /dev/mapper/os",
      expect.stringMatching(/^mkswap .* -L s \/dev\/nvme0n1p1$/),
    ]);
  });

  it("leave alone what is kept", () => {
    const plan = create(DiskPlanSchema, {
      disks: [
        {
          ...sector,
          selector: "d",
          serial: "S1",
          lastName: "sda",
          table: DiskAction.KEEP,
          removes: [{ number: 1, firstLba: 2048n, lastLba: 4095n }],
          partitions: [
            { number: 1, name: "new", firstLba: 2048n, lastLba: 4095n, typeCode: "8300" },
            {
              number: 2,
              name: "pv",
              firstLba: 4096n,
              lastLba: 8191n,
              typeCode: "8e00",
              action: DiskAction.KEEP,
            },
          ],
        },
      ],
      vgs: [
        {
          name: "vg0",
          devices: ["partition/d/0/pv"],
          action: DiskAction.KEEP,
          removes: ["root"],
          extentBytes: 4n << 20n,
        },
      ],
      lvs: [
        { name: "data", vg: "vg0", sizeBytes: 1n << 30n, action: DiskAction.KEEP },
        { name: "root", vg: "vg0", sizeBytes: 1n << 30n },
      ],
      fss: [{ device: "lv/vg0/data", type: "xfs", mount: "/srv", action: DiskAction.KEEP }],
    });
    const commands = plannedCommands(plan);
    expect(commands.slice(0, 2)).toEqual([
      "wipefs --all /dev/sda1",
      expect.stringMatching(/^sgdisk --set-alignment=1 --delete=1 --new=1:2048:4095 /),
    ]);
    expect(commands.slice(3, 5)).toEqual(["wipefs --all /dev/sda1", "lvremove --yes vg0/root"]);
    expect(commands.at(-1)).toMatch(/^lvcreate .* --name root /);
    expect(commands.join("\n")).not.toMatch(/sda2|pvcreate|vgcreate|mkfs|zap|--name data/);
  });

  it("show an msdos table as the text that sfdisk reads", () => {
    const plan = create(DiskPlanSchema, {
      disks: [
        {
          ...sector,
          selector: "d",
          serial: "S1",
          lastName: "sda",
          label: "msdos",
          partitions: [
            {
              number: 1,
              name: "os",
              firstLba: 2048n,
              lastLba: 4095n,
              typeCode: "83",
              kind: "primary",
              active: true,
            },
          ],
        },
      ],
    });
    const text = plannedCommands(plan).join("\n");
    expect(text).toContain("sfdisk --wipe=never /dev/sda <<END\n");
    expect(text).toContain("/dev/sda1 : start=2048, size=2048, type=83, bootable\nEND\n");
  });
});
