// Entries in the firmware's memory for the ESPs of the installed system. They are a help, not a need: the removable
// path on every ESP boots without them, so what goes wrong here is told and no more.
import type { DiskPlan, PlannedFs } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { CommandError } from "../runner.ts";
import { deviceOfDisk } from "../storage/devices.ts";
import { diskKey, type MachineDisk } from "../storage/disks.ts";
import { exists } from "../storage/tables.ts";
import type { StorageContext } from "../storage/wait.ts";

export type EspPlace = { disk: string; partition: number; serial: string };

const label = "Muster";
const loader = "\\EFI\\BOOT\\BOOTX64.EFI";

export async function registerWithFirmware(
  plan: DiskPlan,
  disks: ReadonlyMap<string, MachineDisk>,
  esp: PlannedFs,
  context: StorageContext,
  variables = "/sys/firmware/efi/efivars",
): Promise<void> {
  const { run, signal, log } = context;
  if (!(await exists(variables))) {
    log("this machine was not booted by UEFI: no entry in its firmware, the removable path has to do");
    return;
  }
  try {
    const { stdout } = await run(["efibootmgr"], { signal });
    for (const number of ownEntries(stdout)) {
      await run(["efibootmgr", "--quiet", "--bootnum", number, "--delete-bootnum"], { signal });
    }
    // Each new one goes to the head of the boot order: the first ESP last.
    for (const place of espPlaces(plan, disks, esp).reverse()) {
      await run(createEntryCommand(place), { signal });
    }
  } catch (error) {
    if (!(error instanceof CommandError) || signal.aborted) throw error;
    log(`the firmware takes no boot entry; the removable path has to do: ${error.message}`);
  }
}

/** Numbers of the entries that an earlier deployment has made, from the output of efibootmgr. */
export function ownEntries(text: string): string[] {
  const lines = text.matchAll(new RegExp(`^Boot([0-9A-F]{4})[* ] ${label} \\(`, "gm"));
  return [...lines].map(([, number = ""]) => number);
}

export function createEntryCommand({ disk, partition, serial }: EspPlace): [string, ...string[]] {
  const place = ["--disk", disk, "--part", String(partition)];
  return [
    "efibootmgr",
    "--quiet",
    "--create",
    ...place,
    "--label",
    `${label} (${serial})`,
    "--loader",
    loader,
  ];
}

/** Where the ESP and its copies lie; an ESP on an array has no place of its own. */
export function espPlaces(
  plan: DiskPlan,
  disks: ReadonlyMap<string, MachineDisk>,
  esp: PlannedFs,
): EspPlace[] {
  return [esp.device, ...esp.copies].flatMap((device) =>
    plan.disks.flatMap((planned) =>
      planned.partitions
        .filter(({ name }) => device === `partition/${diskKey(planned)}/${name}`)
        .map(({ number }) => {
          const { path, serial, wwn } = deviceOfDisk(disks, diskKey(planned));
          return { disk: path, partition: number, serial: serial || wwn };
        }),
    ),
  );
}
