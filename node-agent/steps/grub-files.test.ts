// GRUB's configuration, word by word.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { type DiskPlan, DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { BootloaderStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import {
  checkBootable,
  grubConfig,
  grubDefaults,
  grubModules,
  otherEntries,
  storageModules,
} from "./grub-files.ts";

const step = create(BootloaderStepSchema, { kernelParameters: ["quiet", "x=a;b"] });
const facts = {
  os: "",
  kernelVersion: "6.1.0",
  kernelRoot: "/dev/mapper/vg0-root",
  bootUuid: "u-1",
  bootType: "ext4",
  bootPath: "/boot",
  storageModules: ["part_gpt", "mdraid1x", "lvm"],
  cryptoUuids: [],
};

test("grub.cfg boots the installed kernel from root on LVM", () => {
  expect(grubConfig(step, facts, [])).toMatchInlineSnapshot(`
    "# Written by Muster. update-grub replaces it; /etc/default/grub makes that boot the same.
    serial --unit=0 --speed=115200
    terminal_input serial console
    terminal_output serial console
    insmod part_gpt
    insmod mdraid1x
    insmod lvm
    insmod ext2
    search --no-floppy --fs-uuid --set=root u-1
    set default=0
    set timeout=0
    menuentry 'Linux 6.1.0' {
      linux /boot/vmlinuz-6.1.0 root=/dev/mapper/vg0-root ro console=tty0 console=ttyS0,115200n8 quiet 'x=a;b'
      initrd /boot/initrd.img-6.1.0
    }
    "
  `);
});

test("a /boot of its own", () => {
  const text = grubConfig(step, { ...facts, bootType: "xfs", bootPath: "" }, []);
  expect(text).toContain("insmod xfs");
  expect(text).toContain("linux /vmlinuz-6.1.0 ");
});

test("every other operating system is in the menu, and finds its own /boot", () => {
  const first = { ...facts, os: "blue" };
  const other = {
    ...facts,
    os: "green",
    kernelVersion: "6.12",
    kernelRoot: "UUID=u-2",
    bootUuid: "u-2",
    bootType: "xfs",
    storageModules: ["part_gpt"],
  };
  const text = grubConfig(step, first, [other]);
  const entry = `menuentry 'green: Linux 6.12' {
  insmod part_gpt
  insmod xfs
  search --no-floppy --fs-uuid --set=root u-2
  linux /boot/vmlinuz-6.12 root=UUID=u-2 ro console=tty0 console=ttyS0,115200n8 quiet 'x=a;b'
  initrd /boot/initrd.img-6.12
}
`;
  expect(otherEntries(step, [other])).toBe(entry);
  expect(text.endsWith(`}\n${entry}`)).toBe(true);
  expect(text.slice(0, -entry.length)).toContain(
    "set timeout=5\nmenuentry 'blue: Linux 6.1.0' {\n  linux /boot",
  );
  expect(grubDefaults(step, first, [other])).toContain("GRUB_TIMEOUT=5\n");
  expect(grubConfig(step, first, [])).toContain("set timeout=0\n");
});

test("update-grub gets the same words", () => {
  const text = grubDefaults(step, facts, []);
  expect(text).toContain('GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8 quiet x=a;b"\n');
  expect(text).not.toContain("CRYPTODISK");
});

test.each(["two words", "a'b", 'a"b', "$x", "`id`", "a\\b", ""])("kernel parameter %j is refused", (word) => {
  const odd = create(BootloaderStepSchema, { kernelParameters: [word] });
  expect(() => grubDefaults(odd, facts, [])).toThrow("one word");
});

test("an encrypted /boot is opened before it is searched", () => {
  const locked = { ...facts, storageModules: ["part_gpt", "luks", "cryptodisk"], cryptoUuids: ["12ab-34cd"] };
  expect(grubConfig(step, locked, [])).toContain("cryptomount -u 12ab34cd\nsearch --no-floppy --fs-uuid");
  expect(grubModules(locked)).toEqual(
    expect.arrayContaining(["luks", "cryptodisk", "gcry_rijndael", "ext2"]),
  );
  expect(grubDefaults(step, locked, [])).toContain("GRUB_ENABLE_CRYPTODISK=y\n");
});

const plan: DiskPlan = create(DiskPlanSchema, {
  disks: [{ label: "msdos" }, { label: "gpt" }],
  mds: [
    { name: "old", level: 1, metadata: "0.90", devices: ["partition/a/0/x"] },
    { name: "six", level: 6, devices: ["partition/a/0/y"] },
  ],
  luks: [
    { name: "easy", type: "luks1", device: "md/old" },
    { name: "hard", type: "luks2", device: "partition/a/0/z" },
  ],
  vgs: [{ name: "vg0", devices: ["md/six"] }],
  lvs: [
    { name: "root", vg: "vg0" },
    { name: "thin", vg: "vg0", type: "thin" },
  ],
});

test("GRUB gets the modules for everything that /boot lies on", () => {
  const base = ["part_gpt", "part_msdos"];
  expect(storageModules(plan, "partition/a/0/x")).toEqual(base);
  expect(storageModules(plan, "md/old")).toEqual([...base, "mdraid09"]);
  expect(storageModules(plan, "lv/vg0/root")).toEqual([...base, "mdraid1x", "raid5rec", "raid6rec", "lvm"]);
  expect(storageModules(plan, "luks/easy")).toEqual([...base, "mdraid09", "luks", "cryptodisk"]);
});

test("what GRUB cannot read is refused", () => {
  checkBootable(plan, "lv/vg0/root");
  checkBootable(plan, "luks/easy");
  expect(() => checkBootable(plan, "lv/vg0/thin")).toThrow(
    "the thin volume vg0/thin, which GRUB cannot read",
  );
  expect(() => checkBootable(plan, "luks/hard")).toThrow("the luks2 device hard without --pbkdf=pbkdf2");
});
