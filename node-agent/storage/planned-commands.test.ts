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
          bootloader: true,
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
      "blkdiscard --force --zeroout --offset 0 --length 1048576 /dev/nvme0n1",
      expect.stringMatching(/^sgdisk --clear .* --new=2:4096:8191 --typecode=2:8309 .* \/dev\/nvme0n1$/),
      "partx --update --nr 1:128 /dev/nvme0n1",
      "wipefs --all /dev/nvme0n1p1 /dev/nvme0n1p2",
      expect.stringMatching(/^cryptsetup luksFormat .* \/dev\/nvme0n1p2 < SECRET\(disk\)$/),
      "cryptsetup open --type luks --key-file=- /dev/nvme0n1p2 os < SECRET(disk)",
      expect.stringMatching(/^mkswap .* -L s \/dev\/nvme0n1p1$/),
      "sync",
      "sfdisk --no-reread --no-tell-kernel --disk-id /dev/nvme0n1 UUID(DISK/OS/0)",
      "# then the image is written to /dev/mapper/os",
      "# then GRUB is installed on /dev/nvme0n1",
    ]);
  });

  it("for an image of a whole disk only empty it", () => {
    const plan = create(DiskPlanSchema, {
      disks: [
        {
          ...sector,
          selector: "os",
          serial: "S1",
          lastName: "sda",
          before: [{ name: "sda1", sizeBytes: 1n }],
        },
      ],
      rootDevice: "disk/os/0",
    });
    expect(plannedCommands(plan)).toEqual([
      "wipefs --all /dev/sda1",
      "wipefs --all /dev/sda",
      "blkdiscard --force --zeroout --offset 0 --length 1048576 /dev/sda",
      "sync",
      "# then the image is written to /dev/sda, with its own partitions and boot loader",
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
    const scope = "--devices /dev/sda2";
    expect(commands.slice(3)).toEqual([
      "wipefs --all /dev/sda1",
      `vgchange ${scope} --activate y --monitor n vg0`,
      "dmsetup mknodes",
      `lvremove ${scope} --yes vg0/root`,
      `vgchange ${scope} --activate y --monitor n vg0`,
      "dmsetup mknodes",
      expect.stringMatching(/^lvcreate --yes --devices \/dev\/sda2 .* --name root /),
      "sync",
      expect.stringMatching(/^sfdisk .* --disk-id \/dev\/sda /),
    ]);
    expect(commands.join("\n")).not.toMatch(/pvcreate|vgcreate|mkfs|blkdiscard|--name data/);
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
    expect(text).toContain("sfdisk --no-reread --no-tell-kernel --wipe=never /dev/sda <<END\n");
    expect(text).toContain("/dev/sda1 : start=2048, size=2048, type=83, bootable\nEND\n");
  });

  const onSecond = { ...sector, selector: "d", serial: "S2", lastName: "sdb" };
  const data = (number: number, name: string, action: DiskAction = DiskAction.CREATE) => {
    const firstLba = 2048n * BigInt(number);
    return { number, name, firstLba, lastLba: firstLba + 2047n, typeCode: "83", kind: "primary", action };
  };

  it("write an msdos table that stays again with its partitions as they are", () => {
    const plan = create(DiskPlanSchema, {
      disks: [
        {
          ...onSecond,
          label: "msdos",
          table: DiskAction.KEEP,
          partitions: [data(1, "kept", DiskAction.KEEP), data(2, "new")],
        },
      ],
    });
    const commands = plannedCommands(plan);
    expect(commands[0]).toBe("# with what else is in the table and stays, as it is");
    expect(commands[2]?.split("\n")).toEqual([
      "label: dos",
      "label-id: ID(d/0)",
      "unit: sectors",
      "",
      "/dev/sdb1 : start=2048, size=2048, type=83",
      "/dev/sdb2 : start=4096, size=2048, type=83",
    ]);
    // The identifier of a table that stays is not changed.
    expect(commands.join("\n")).not.toContain("--disk-id");
  });

  it("make what is new on what is kept, which is started by its secret", () => {
    const plan = create(DiskPlanSchema, {
      disks: [
        {
          ...onSecond,
          table: DiskAction.KEEP,
          partitions: [data(1, "a", DiskAction.KEEP), data(2, "b", DiskAction.KEEP)],
        },
      ],
      mds: [
        { name: "m", level: 1, devices: ["partition/d/0/a", "partition/d/0/b"], action: DiskAction.KEEP },
      ],
      luks: [{ name: "l", device: "md/m", secret: "vault", type: "luks2", action: DiskAction.KEEP }],
      fss: [{ device: "luks/l", type: "xfs", mount: "/srv" }],
    });
    expect(plannedCommands(plan)).toEqual([
      "mdadm --assemble --run /dev/md/m /dev/sdb1 /dev/sdb2  # unless it runs already",
      "cryptsetup open --type luks --key-file=- /dev/md/m l < SECRET(vault)  # unless it is open already",
      expect.stringMatching(/^mkfs\.xfs .* \/dev\/mapper\/l$/),
      "sync",
    ]);
  });

  it("are those of every operating system, array, spare and group", () => {
    const plan = create(DiskPlanSchema, {
      disks: [{ ...onSecond, bootloader: true, partitions: ["a", "b", "c", "red", "esp"].map(part) }],
      mds: [
        {
          name: "m",
          level: 1,
          metadata: "1.0",
          devices: ["partition/d/0/a", "partition/d/0/b"],
          spares: ["partition/d/0/c"],
        },
      ],
      vgs: [{ name: "vg0", devices: ["md/m"], extentBytes: 4n << 20n }],
      pvs: [{ device: "md/m", vg: "vg0", metadataCopies: 2 }],
      lvs: [
        { name: "pool", vg: "vg0", type: "thin_pool", sizeBytes: 1n << 30n },
        { name: "blue", vg: "vg0", type: "thin", pool: "pool", sizeBytes: 1n << 30n },
      ],
      fss: [
        { device: "lv/vg0/blue", type: "ext4", mount: "/", os: ["blue"] },
        { device: "partition/d/0/red", type: "ext4", mount: "/", os: ["red"] },
        { device: "partition/d/0/esp", type: "vfat", mount: "/boot/efi" },
      ],
      rootDevice: "lv/vg0/blue",
      systems: [
        { os: "blue", rootDevice: "lv/vg0/blue" },
        { os: "red", rootDevice: "partition/d/0/red" },
      ],
    });
    const commands = plannedCommands(plan);
    const programs = commands.map((line) =>
      line
        .split(" ")
        .slice(0, line.startsWith("mdadm") ? 2 : 1)
        .join(" "),
    );
    expect(programs.slice(commands.indexOf("partx --update --nr 1:128 /dev/sdb") + 1)).toEqual([
      "wipefs",
      "#",
      ..."blkdiscard blkdiscard blkdiscard".split(" "),
      "mdadm --create",
      ..."wipefs pvcreate vgcreate lvcreate lvcreate mkfs.vfat sync sfdisk # # #".split(" "),
    ]);
    expect(commands).toContainEqual(
      expect.stringMatching(/ --raid-devices=2 .* --spare-devices=1 .* \/dev\/sdb3$/),
    );
    expect(commands).toContainEqual(
      expect.stringMatching(/^vgcreate --yes --devices \/dev\/md\/m .* vg0 \/dev\/md\/m$/),
    );
    expect(commands.slice(-3)).toEqual([
      "# then the image of blue is written to /dev/mapper/vg0-blue",
      "# then the image of red is written to /dev/sdb4",
      "# then GRUB is installed on /dev/sdb",
    ]);
  });

  function part(name: string, index: number) {
    return data(index + 1, name);
  }
});
