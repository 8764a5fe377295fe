// GRUB's configuration for the installed system: pure content, no writing.
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { BootloaderStep } from "../../proto/gen/muster/v1/step_pb.ts";
import { layersBelow } from "../storage/below.ts";

export type GrubFacts = {
  /** The name of the operating system where there are several, else "". */
  os: string;
  kernelVersion: string;
  /** What the kernel is told: /dev/mapper/vg0-root or UUID=... */
  kernelRoot: string;
  /** The file system that holds /boot, and /boot's place in it: "/boot", or "" if it has its own. */
  bootUuid: string;
  bootType: string;
  bootPath: string;
  /** What GRUB must be able to read to find it, beside the file system. */
  storageModules: string[];
  /** UUIDs of the LUKS devices that /boot lies on: GRUB asks for their passphrases. */
  cryptoUuids: string[];
};

const consoles = ["console=tty0", "console=ttyS0,115200n8"];
const serial = "serial --unit=0 --speed=115200";
const filesystemModules: Record<string, string> = { ext2: "ext2", ext3: "ext2", ext4: "ext2", vfat: "fat" };

/** What GRUB needs to read a device of the plan, by everything that it lies on. */
export function storageModules(plan: DiskPlan, device: string): string[] {
  const modules = new Set<string>();
  const labels = new Set(plan.disks.map(({ label }) => label || "gpt"));
  modules.add("part_gpt");
  if (labels.has("msdos")) modules.add("part_msdos");
  const layers = layersBelow(plan, device);
  for (const { level, metadata } of layers.mds) {
    modules.add(metadata === "0.90" ? "mdraid09" : "mdraid1x");
    if (level === 4 || level === 5) modules.add("raid5rec");
    if (level === 6) modules.add("raid5rec").add("raid6rec");
  }
  if (layers.lvs.length > 0) modules.add("lvm");
  for (const { type } of layers.luks) modules.add(type === "luks1" ? "luks" : "luks2").add("cryptodisk");
  return [...modules];
}

/** Throws where GRUB 2.06 cannot read what /boot would lie on. */
export function checkBootable(plan: DiskPlan, device: string): void {
  const { lvs, luks } = layersBelow(plan, device);
  const refuse = (what: string) => {
    throw new Error(
      `/boot would lie on ${what}, which GRUB cannot read. Give /boot a file system elsewhere.`,
    );
  };
  const thin = lvs.find(({ type }) => type === "thin");
  if (thin) refuse(`the thin volume ${thin.vg}/${thin.name}`);
  // Its key derivation for luks2 is argon2 unless the scheme says otherwise.
  const hard = luks.find((one) => one.type !== "luks1" && !one.options.includes("--pbkdf=pbkdf2"));
  if (hard) refuse(`the luks2 device ${hard.name} without --pbkdf=pbkdf2`);
}

/** All modules that go into GRUB's core. */
export function grubModules({ bootType, storageModules: storage, cryptoUuids }: GrubFacts): string[] {
  const crypto = cryptoUuids.length > 0 ? ["gcry_rijndael", "gcry_sha256", "gcry_sha512", "pbkdf2"] : [];
  return [...storage, ...crypto, filesystemModules[bootType] ?? bootType];
}

/**
 * Written as it is, as grub-mkconfig would probe every device and start a script for each. The first system is
 * started; the others are in the menu.
 */
export function grubConfig(step: BootloaderStep, first: GrubFacts, others: readonly GrubFacts[]): string {
  return `# Written by Muster. update-grub replaces it; /etc/default/grub makes that boot the same.
${serial}
terminal_input serial console
terminal_output serial console
${findBoot(first).join("\n")}
set default=0
set timeout=${menuSeconds(others)}
${menuEntry(step, first, [])}${otherEntries(step, others)}`;
}

/** Of the other systems. For custom.cfg too, from which a later grub.cfg of update-grub takes them. */
export function otherEntries(step: BootloaderStep, others: readonly GrubFacts[]): string {
  return others.map((facts) => menuEntry(step, facts, findBoot(facts))).join("");
}

function menuEntry(step: BootloaderStep, facts: GrubFacts, before: string[]): string {
  const { os, kernelVersion, kernelRoot, bootPath } = facts;
  const words = [`root=${kernelRoot}`, "ro", ...kernelWords(step)].map(quoteForGrub).join(" ");
  const commands = [
    ...before,
    `linux ${bootPath}/vmlinuz-${kernelVersion} ${words}`,
    `initrd ${bootPath}/initrd.img-${kernelVersion}`,
  ];
  const lines = commands.map((command) => `  ${command}\n`).join("");
  return `menuentry '${os ? `${os}: ` : ""}Linux ${kernelVersion}' {\n${lines}}\n`;
}

/** Makes the file system with /boot GRUB's root. */
function findBoot(facts: GrubFacts): string[] {
  return [
    ...grubModules(facts).map((module) => `insmod ${module}`),
    ...facts.cryptoUuids.map((uuid) => `cryptomount -u ${uuid.replaceAll("-", "")}`),
    `search --no-floppy --fs-uuid --set=root ${facts.bootUuid}`,
  ];
}

/** Where there is a choice, there must be time for it. */
function menuSeconds(others: readonly GrubFacts[]): number {
  return others.length > 0 ? 5 : 0;
}

/** What a later update-grub builds the same from. */
export function grubDefaults(
  step: BootloaderStep,
  { cryptoUuids }: Pick<GrubFacts, "cryptoUuids">,
  others: readonly GrubFacts[],
): string {
  return `# Written by Muster.
GRUB_DEFAULT=0
GRUB_TIMEOUT=${menuSeconds(others)}
GRUB_DISTRIBUTOR=\`. /etc/os-release; echo "$NAME"\`
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="${kernelWords(step).join(" ")}"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="${serial}"
GRUB_DISABLE_OS_PROBER=true
${cryptoUuids.length > 0 ? "GRUB_ENABLE_CRYPTODISK=y\n" : ""}`;
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
