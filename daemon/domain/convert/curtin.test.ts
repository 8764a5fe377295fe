import { describe, expect, it } from "vitest";
import { converted, faults, places, planned } from "./convert-fixture.ts";

describe("curtin", () => {
  const config = [
    { id: "a", type: "disk", serial: "disk-sda", ptable: "gpt", wipe: "superblock", grub_device: true },
    { id: "b", type: "disk", serial: "disk-sdb", ptable: "gpt", wipe: "superblock" },
    { id: "a-bios", type: "partition", device: "a", size: "1MB", flag: "bios_grub", number: 15 },
    { id: "a-boot", type: "partition", device: "a", size: "1GB", flag: "boot" },
    { id: "a-pv", type: "partition", device: "a", size: "20G" },
    { id: "b-pv", type: "partition", device: "b", size: "20G" },
    { id: "a-md", type: "partition", device: "a", size: -1 },
    { id: "b-md", type: "partition", device: "b", size: "10GB" },
    { id: "md0", type: "raid", name: "md0", raidlevel: "raid1", devices: ["a-md", "b-md"], metadata: 1.2 },
    { id: "vg", type: "lvm_volgroup", name: "vg0", devices: ["a-pv", "b-pv"] },
    { id: "lv-root", type: "lvm_partition", name: "root", volgroup: "vg", size: "30G" },
    { id: "lv-rest", type: "lvm_partition", name: "rest", volgroup: "vg" },
    { id: "crypt", type: "dm_crypt", volume: "lv-rest", dm_name: "secure", keyfile: "/keys/secure.key" },
    { id: "fs-boot", type: "format", fstype: "fat32", volume: "a-boot", label: "ESP" },
    { id: "fs-root", type: "format", fstype: "ext4", volume: "lv-root", extra_options: ["-m", "1"] },
    { id: "fs-md", type: "format", fstype: "xfs", volume: "md0" },
    { id: "fs-crypt", type: "format", fstype: "btrfs", volume: "crypt" },
    { id: "m-boot", type: "mount", device: "fs-boot", path: "/boot/efi" },
    { id: "m-root", type: "mount", device: "fs-root", path: "/", options: "defaults" },
    { id: "m-md", type: "mount", device: "fs-md", path: "/srv", options: "noatime,nofail" },
    { id: "spare", type: "disk", serial: "never-used", wipe: "superblock" },
  ];

  it("names a secret after its key file alone, whatever else is called so", () => {
    const second = [
      { id: "secure-key", type: "lvm_partition", name: "more", volgroup: "vg", size: "1G" },
      { id: "crypt2", type: "dm_crypt", volume: "secure-key", dm_name: "more", keyfile: "/keys/secure.key" },
      { id: "fs-more", type: "format", fstype: "xfs", volume: "crypt2" },
    ];
    const renamed = config.map((action) =>
      action.id === "md0" ? { ...action, name: "secure-key" } : action,
    );
    const { luks } = converted("curtin", { storage: { version: 1, config: [...renamed, ...second] } });
    expect(luks.map(({ secret }) => secret)).toEqual(["secure-key", "secure-key"]);
  });

  it("becomes the same layout", () => {
    const scheme = converted("curtin", { storage: { version: 1, config } });
    expect(places(scheme)).toEqual([
      ["sda", "15 1+1 ef02", "1 2+1024 ef00", "2 1026+20480 8e00", "3 21506+44029 fd00"],
      ["sdb", "1 1+20480 8e00", "2 20481+10240 fd00"],
    ]);
    const plan = planned(scheme);
    expect(plan.disks.map(({ bootloader }) => bootloader)).toEqual([true, false]);
    expect(plan.luks[0]).toMatchObject({ name: "secure", device: "lv/vg0/rest", secret: "secure-key" });
    expect(plan.fss.map(({ type, mount, device, noFstab }) => [type, mount, device, noFstab])).toEqual([
      ["vfat", "/boot/efi", "partition/a/0/a-boot", false],
      ["ext4", "/", "lv/vg0/root", false],
      ["xfs", "/srv", "md/md0", false],
      ["btrfs", "", "luks/secure", true],
    ]);
    expect(plan.fss[2]?.options).toBe("noatime,nofail");
  });

  it("becomes an msdos table with logical partitions", () => {
    const scheme = converted("curtin", {
      version: 1,
      config: [
        { id: "a", type: "disk", serial: "disk-sda", ptable: "msdos", grub_device: 1 },
        { id: "p1", type: "partition", device: "a", size: "4GB", flag: "boot", number: 1 },
        { id: "p2", type: "partition", device: "a", size: "20GB", flag: "extended", number: 2 },
        { id: "p5", type: "partition", device: "a", size: "1GB", flag: "logical", number: 5 },
        { id: "p6", type: "partition", device: "a", size: "2GB", flag: "logical", number: 6 },
        { id: "f1", type: "format", fstype: "ext4", volume: "p1" },
        { id: "f5", type: "format", fstype: "swap", volume: "p5" },
        { id: "m1", type: "mount", device: "f1", path: "/" },
      ],
    });
    expect(places(scheme)).toEqual([
      ["sda", "1 1+4096 83", "2 4097+3074 5", "5 4098+1024 82", "6 5123+2048 83"],
    ]);
    expect(planned(scheme).disks[0]?.partitions[0]?.active).toBe(true);
  });

  it("keeps what it preserves", () => {
    const preserved = config
      .filter(
        ({ id }) => !["crypt", "fs-crypt", "spare", "b-md", "a-md", "md0", "fs-md", "m-md"].includes(id),
      )
      .map((action) =>
        ["a", "b", "a-pv", "b-pv", "vg", "lv-rest"].includes(action.id)
          ? { ...action, preserve: true }
          : action,
      );
    const fs = [
      { id: "fs-rest", type: "format", fstype: "xfs", volume: "lv-rest", preserve: true },
      { id: "m-rest", type: "mount", device: "fs-rest", path: "/data" },
    ];
    const scheme = converted("curtin", { version: 1, config: [...preserved, ...fs] });
    expect(scheme.vgs[0]).toMatchObject({ keepData: true, others: "keep" });
    expect(scheme.lvs.map(({ name, keepData }) => [name, keepData])).toEqual([
      ["root", false],
      ["rest", true],
    ]);
  });

  it("says by its path what cannot be expressed", () => {
    const more = [
      { id: "z", type: "zpool", vdevs: ["a"], pool: "tank" },
      { id: "p", type: "partition", device: "a", size: "1GB", flag: "prep", resize: true },
      { id: "c", type: "dm_crypt", volume: "lv-root", dm_name: "x", key: "passphrase" },
      { id: "bc", type: "mount", spec: "none", path: "/tmp", fstype: "tmpfs" },
    ];
    expect(faults("curtin", { storage: { version: 1, config: [...config, ...more] } })).toEqual([
      "storage.config[21].type: `zpool` has no counterpart in a scheme",
      "storage.config[22].resize: nothing is resized by a scheme",
      "storage.config[22].flag: `prep` has no counterpart in a scheme",
      "storage.config[23].key: a key is in no scheme; store it as a secret and name a keyfile after it",
      "storage.config[24].spec: a mount without a device of this list has no counterpart",
    ]);
  });

  it("and what it says is held to the rules of a scheme", () => {
    const rootless = config.filter(({ id }) => id !== "m-root");
    expect(faults("curtin", { version: 1, config: rootless })).toEqual([
      "scheme.fss: none is mounted at /; the image goes there",
    ]);
  });
});
