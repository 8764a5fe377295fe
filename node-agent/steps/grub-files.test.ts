// GRUB's configuration, word by word.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { BootloaderStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { grubConfig, grubDefaults } from "./grub-files.ts";

const step = create(BootloaderStepSchema, { kernelVersion: "6.1.0", kernelParameters: ["quiet", "x=a;b"] });
const facts = { kernelRoot: "/dev/mapper/vg0-root", bootUuid: "u-1", bootType: "ext4", bootPath: "/boot" };

test("grub.cfg boots the installed kernel from root on LVM", () => {
  expect(grubConfig(step, facts)).toMatchInlineSnapshot(`
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
  const text = grubConfig(step, { ...facts, bootType: "xfs", bootPath: "" });
  expect(text).toContain("insmod xfs");
  expect(text).toContain("linux /vmlinuz-6.1.0 ");
});

test("update-grub gets the same words", () => {
  expect(grubDefaults(step)).toContain(
    'GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8 quiet x=a;b"\n',
  );
});

test.each(["two words", "a'b", 'a"b', "$x", "`id`", "a\\b", ""])("kernel parameter %j is refused", (word) => {
  const odd = create(BootloaderStepSchema, { kernelParameters: [word] });
  expect(() => grubDefaults(odd)).toThrow("one word");
});
