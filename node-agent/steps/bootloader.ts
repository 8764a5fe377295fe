// Step `bootloader`: GRUB on every boot disk, for each firmware that the plan has a partition for, with every
// operating system in its menu, and then everything unmounted and stopped for a clean reboot.
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DiskPlan, PlannedDisk, PlannedFs } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { BootloaderStep } from "../../proto/gen/muster/v1/step_pb.ts";
import { wholeDiskOf } from "../../proto/plan/whole-disk.ts";
import type { Step, StepContext } from "../step.ts";
import {
  activate,
  deactivate,
  machineStorage,
  requirePlan,
  type StorageOptions,
} from "../storage/activate.ts";
import { layersBelow } from "../storage/below.ts";
import { type Devices, deviceOf, deviceOfDisk } from "../storage/devices.ts";
import { diskKey, type MachineDisk, matchDisks } from "../storage/disks.ts";
import { uuidOf } from "../storage/filesystems.ts";
import { luksUuid } from "../storage/luks.ts";
import { ownFilesystems, planMounts, systemMounts, withMounts } from "../storage/mounts.ts";
import { type OwnSystem, ownSystems } from "../storage/systems.ts";
import { exists } from "../storage/tables.ts";
import type { StorageContext } from "../storage/wait.ts";
import { registerWithFirmware } from "./boot-entries.ts";
import {
  checkBootable,
  type GrubFacts,
  grubConfig,
  grubDefaults,
  grubModules,
  otherEntries,
  storageModules,
} from "./grub-files.ts";

/** An operating system of the plan; while something is done in it, it is mounted at `root`. */
type Target = {
  action: BootloaderStep;
  plan: DiskPlan;
  devices: Devices;
  root: string;
  facts: GrubFacts;
  /** The further systems in GRUB's menu; none where this one does not bring GRUB. */
  others: GrubFacts[];
  context: StepContext;
};

/** Where GRUB goes, by firmware. */
type BootPlaces = { biosDisks: string[]; esp: PlannedFs | undefined };

const espMount = "/boot/efi";
const chrootEnv = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
const initramfsLimitMs = 15 * 60_000;

export const bootloader = createBootloaderStep();

export function createBootloaderStep(options: StorageOptions = machineStorage): Step<"bootloader"> {
  return async (action, context) => {
    const plan = requirePlan(action);
    const devices = await activate(plan, context, options);
    if (wholeDiskOf(plan)) {
      await deactivate(plan, devices, context);
      return "nothing to install: an image of a whole disk brings its own boot loader";
    }
    const disks = matchDisks(plan, await options.findDisks(context.run, context.signal));
    const targets: Target[] = [];
    for (const system of ownSystems(plan, action.systems)) {
      const facts = await gatherFacts(system, devices, context);
      const root = options.mountPoint;
      targets.push({ action, plan: system.plan, devices, root, facts, others: [], context });
    }
    const [first, ...others] = targets;
    if (!first) throw new Error("the plan has no operating system. Plan again.");
    first.others = others.map(({ facts }) => facts);
    const places = bootPlaces(first.plan, disks);
    for (const other of others) await inside(other, () => prepare(other));
    await inside(first, async () => {
      await prepare(first);
      await install(first, places, disks);
    });
    context.progress({ activity: "stopping volumes and arrays" });
    await deactivate(plan, devices, context);
    const entries = [first.facts, ...first.others].map(describeEntry).join("; in its menu ");
    return `GRUB for ${describePlaces(places, devices)}; ${entries}`;
  };
}

function describePlaces({ biosDisks, esp }: BootPlaces, devices: Devices): string {
  const firmware = [
    biosDisks.length > 0 && `BIOS on ${biosDisks.join(", ")}`,
    esp && `UEFI on ${[esp.device, ...esp.copies].map((name) => deviceOf(devices, name)).join(", ")}`,
  ];
  return firmware.filter(Boolean).join(" and ");
}

function describeEntry({ os, kernelVersion, kernelRoot }: GrubFacts): string {
  return `${os ? `${os}: ` : ""}Linux ${kernelVersion} from ${kernelRoot}`;
}

/** `plan` is that of the system which GRUB comes from. */
function bootPlaces(plan: DiskPlan, disks: ReadonlyMap<string, MachineDisk>): BootPlaces {
  const biosDisks = plan.disks.filter(bootsFromBios).map((disk) => deviceOfDisk(disks, diskKey(disk)).path);
  const esp = ownFilesystems(plan).find((fs) => fs.type === "vfat" && fs.mount === espMount);
  if (biosDisks.length > 0 || esp) return { biosDisks, esp };
  throw new Error(
    `the scheme has no disk that BIOS can boot (a bios_grub partition, or an msdos table) and no ESP at ${espMount}. Add one and plan again.`,
  );
}

/** Does some work while the system is mounted. */
function inside({ plan, devices, root, context }: Target, work: () => Promise<void>): Promise<void> {
  return withMounts([...planMounts(plan, devices, root), ...systemMounts(root)], context, async () => {
    await work();
    await context.run(["sync"], { signal: context.signal });
  });
}

/** What every system needs, whether or not it brings GRUB. */
async function prepare(target: Target): Promise<void> {
  await writeConfig(target);
  target.context.progress({ activity: "making the initramfs" });
  await renewInitramfs(target);
}

async function install(
  target: Target,
  { biosDisks, esp }: BootPlaces,
  disks: ReadonlyMap<string, MachineDisk>,
): Promise<void> {
  const { action, root, facts, others, plan, context } = target;
  await writeInto(root, "/boot/grub/grub.cfg", grubConfig(action, facts, others));
  if (others.length > 0) await writeInto(root, "/boot/grub/custom.cfg", otherEntries(action, others));
  for (const disk of biosDisks) {
    context.progress({ activity: `installing GRUB for BIOS on ${disk}` });
    await installBios(disk, target);
  }
  if (!esp) return;
  context.progress({ activity: "installing GRUB for UEFI" });
  await installUefi(esp, target);
  await registerWithFirmware(plan, disks, esp, context);
}

/** GPT needs a partition for GRUB's core; with an msdos table it lies before the first partition. */
function bootsFromBios({ bootloader: wanted, label, partitions }: PlannedDisk): boolean {
  return (
    wanted && (label === "msdos" || partitions.some(({ typeCode }) => typeCode.toLowerCase() === "ef02"))
  );
}

async function gatherFacts(
  { plan, image }: OwnSystem,
  devices: Devices,
  context: StorageContext,
): Promise<GrubFacts> {
  const ownBoot = ownFilesystems(plan).find((fs) => fs.mount === "/boot");
  const boot = ownBoot ?? plan.fss.find((fs) => fs.device === plan.rootDevice);
  if (!boot) throw new Error("the plan has no file system for /. Plan again.");
  checkBootable(plan, boot.device);
  const cryptoUuids: string[] = [];
  for (const { device } of layersBelow(plan, boot.device).luks) {
    cryptoUuids.push(await luksUuid(deviceOf(devices, device), context));
  }
  const rootUuid = await uuidOf(deviceOf(devices, plan.rootDevice), context);
  return {
    os: image.os,
    kernelVersion: image.kernelVersion,
    kernelRoot: plan.kernelRoot || `UUID=${rootUuid}`,
    bootUuid: await uuidOf(deviceOf(devices, boot.device), context),
    bootType: boot.type,
    bootPath: ownBoot ? "" : "/boot",
    storageModules: storageModules(plan, boot.device),
    cryptoUuids,
  };
}

async function writeConfig({ action, root, facts, others }: Target): Promise<void> {
  const { os, kernelVersion } = facts;
  for (const path of [`/boot/vmlinuz-${kernelVersion}`, `/boot/initrd.img-${kernelVersion}`]) {
    if (await exists(join(root, path))) continue;
    throw new Error(
      `the installed system${os ? ` ${os}` : ""} has no ${path}, which the image's manifest names. Build the image again.`,
    );
  }
  await writeInto(root, "/etc/default/grub", grubDefaults(action, facts, others));
}

async function writeInto(root: string, path: string, content: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), content);
}

/** The image's initramfs asks for no passphrase: that is in one which is made with this machine's crypttab. */
async function renewInitramfs({ plan, root, context }: Target): Promise<void> {
  if (layersBelow(plan, plan.rootDevice).luks.length === 0) return;
  if (!(await exists(join(root, "/usr/share/initramfs-tools/hooks/cryptroot")))) {
    throw new Error(
      "root is encrypted, and the image cannot open it at boot. Add the package cryptsetup-initramfs to its recipe.",
    );
  }
  await context.run(["chroot", root, "update-initramfs", "-u", "-k", "all"], {
    signal: context.signal,
    env: chrootEnv,
    timeoutMs: initramfsLimitMs,
  });
}

async function installBios(disk: string, target: Target): Promise<void> {
  await requireGrub("i386-pc", "grub-pc-bin", target);
  await grubInstall(["--target=i386-pc", "--recheck", disk], target);
}

async function installUefi(esp: PlannedFs, target: Target): Promise<void> {
  const { root, devices, context } = target;
  await requireGrub("x86_64-efi", "grub-efi-amd64-bin", target);
  // The removable path needs no entry in the firmware's memory: any disk boots in any machine.
  const place = [`--efi-directory=${espMount}`, "--bootloader-id=muster", "--removable", "--no-nvram"];
  await grubInstall(["--target=x86_64-efi", ...place, "--recheck"], target);
  for (const name of esp.copies) {
    const copy = `${root}-esp`;
    const mount = { kind: "device", source: deviceOf(devices, name), target: copy, type: "vfat" } as const;
    await withMounts([mount], context, async () => {
      await rm(join(copy, "EFI"), { recursive: true, force: true });
      await cp(join(root, espMount, "EFI"), join(copy, "EFI"), { recursive: true });
    });
  }
}

async function grubInstall(args: string[], { root, facts, context }: Target): Promise<void> {
  const modules = `--modules=${grubModules(facts).join(" ")}`;
  await context.run(["chroot", root, "grub-install", modules, ...args], {
    signal: context.signal,
    env: chrootEnv,
  });
}

async function requireGrub(platform: string, packageName: string, { root }: Target): Promise<void> {
  if (await exists(join(root, "/usr/lib/grub", platform))) return;
  throw new Error(`the image has no GRUB for ${platform}. Add the package ${packageName} to its recipe.`);
}
