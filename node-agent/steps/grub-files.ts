// GRUB's configuration for the installed system: pure content, no writing.
import type { BootloaderStep } from "../../proto/gen/muster/v1/step_pb.ts";

export type GrubFacts = {
  /** What the kernel is told: /dev/mapper/vg0-root or UUID=... */
  kernelRoot: string;
  /** The file system that holds /boot, and /boot's place in it: "/boot", or "" if it has its own. */
  bootUuid: string;
  bootType: string;
  bootPath: string;
};

const consoles = ["console=tty0", "console=ttyS0,115200n8"];
const serial = "serial --unit=0 --speed=115200";
const filesystemModules: Record<string, string> = { ext4: "ext2", xfs: "xfs" };

/** What GRUB must be able to read to find /boot on any layout that a scheme can have. */
export function grubModules(bootType: string): string[] {
  return ["part_gpt", "mdraid1x", "lvm", filesystemModules[bootType] ?? bootType];
}

/** Written as it is, as grub-mkconfig would probe every device and start a script for each. */
export function grubConfig(step: BootloaderStep, facts: GrubFacts): string {
  const words = [`root=${facts.kernelRoot}`, "ro", ...kernelWords(step)].map(quoteForGrub).join(" ");
  const { bootPath, bootUuid } = facts;
  return `# Written by Muster. update-grub replaces it; /etc/default/grub makes that boot the same.
${serial}
terminal_input serial console
terminal_output serial console
${grubModules(facts.bootType)
  .map((module) => `insmod ${module}`)
  .join("\n")}
search --no-floppy --fs-uuid --set=root ${bootUuid}
set default=0
set timeout=0
menuentry 'Linux ${step.kernelVersion}' {
  linux ${bootPath}/vmlinuz-${step.kernelVersion} ${words}
  initrd ${bootPath}/initrd.img-${step.kernelVersion}
}
`;
}

/** What a later update-grub builds the same from. */
export function grubDefaults(step: BootloaderStep): string {
  return `# Written by Muster.
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=\`. /etc/os-release; echo "$NAME"\`
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="${kernelWords(step).join(" ")}"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="${serial}"
GRUB_DISABLE_OS_PROBER=true
`;
}

function kernelWords(step: BootloaderStep): string[] {
  for (const word of step.kernelParameters) {
    if (/[\s'"\\$`]/.test(word) || word === "") {
      throw new Error(
        `kernel parameter ${JSON.stringify(word)}: one word without quotes, backslash, $ and backquote is allowed`,
      );
    }
  }
  return [...consoles, ...step.kernelParameters];
}

/** Characters such as ; and & would end the command. */
function quoteForGrub(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`;
}
