// The commands that carry a plan out, as they would be run on the disks that it was made for: for people, before
// anything happens. They are built by the same functions that the partition step runs them from; what that step
// does between them (waiting, looking, freeing what is in use) is not among them.
import {
  DiskAction,
  type DiskPlan,
  type PlannedDisk,
  type PlannedLuks,
  type PlannedMd,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { wholeDiskOf } from "../../proto/plan/whole-disk.ts";
import { imageDevices } from "./applied.ts";
import { mdadmAssembleCommand, mdadmCreateCommand, membersOf } from "./arrays.ts";
import { type Devices, deviceOf, logicalVolumePath, partitionDevices, partitionPath } from "./devices.ts";
import { discardCommand } from "./discard.ts";
import { diskKey, type MachineDisk } from "./disks.ts";
import { filesystemIds, mkfsCommand } from "./filesystems.ts";
import { sgdiskCommand } from "./gpt.ts";
import type { Identifiers } from "./identifiers.ts";
import { isKept } from "./keep.ts";
import { luksFormatCommand, luksOpenCommand } from "./luks.ts";
import { sfdiskScript } from "./msdos.ts";
import { type Layer, orderLayers } from "./order.ts";
import { bootCodeCommand } from "./release.ts";
import { createdPartitions, type FoundTable, isRewritten, partitionName } from "./table-changes.ts";
import { markCommand, sfdiskCommand, updateCommand } from "./tables.ts";
import {
  activateCommands,
  lvcreateCommand,
  lvremoveCommand,
  pvcreateCommand,
  scopeOf,
  vgcreateCommand,
} from "./volumes.ts";

/** They follow from the deployment, which there is none of yet. */
const identifiers: Identifiers = {
  uuid: (device) => `UUID(${device})`,
  serial: (device) => `SERIAL(${device})`,
  physicalVolume: (device) => `PVUUID(${device})`,
};

/** What has to be known to read them. */
export const explanation = [
  "# Before, whatever uses these disks is stopped. Disks have the names that they had when they were last looked at.",
  "# UUID(..), PVUUID(..) and SERIAL(..) follow from the deployment. SECRET(..) comes from the daemon to the standard",
  "# input of a command. mdadm runs with MDADM_NO_UDEV=1, LVM and cryptsetup with DM_DISABLE_UDEV=1.",
];

/** A line each, as a shell would take it. */
export function plannedCommands(plan: DiskPlan): string[] {
  const whole = wholeDiskOf(plan);
  if (whole) {
    const later = `# then the image is written to ${pathOf(whole)}, with its own partitions and boot loader`;
    return [...wipeCommands(whole), "sync", later];
  }
  const disks = new Map(plan.disks.map((planned) => [diskKey(planned), machineDisk(planned)]));
  const devices = new Map(partitionDevices(plan, disks));
  for (const { name } of plan.mds) devices.set(`md/${name}`, `/dev/md/${name}`);
  for (const { name } of plan.luks) devices.set(`luks/${name}`, `/dev/mapper/${name}`);
  for (const { vg, name } of plan.lvs) devices.set(`lv/${vg}/${name}`, logicalVolumePath(vg, name));
  return [
    ...plan.disks.flatMap(wipeCommands),
    ...plan.disks.filter(isRewritten).flatMap(tableCommands),
    ...createdSignatures(plan, devices),
    ...orderLayers(plan).flatMap((layer) => layerCommands(layer, plan, devices)),
    ...filesystemCommands(plan, devices),
    "sync",
    ...plan.disks.flatMap(markCommands),
    ...laterSteps(plan, devices),
  ];
}

function machineDisk(planned: PlannedDisk): MachineDisk {
  const { sizeBytes, serial, wwn, model, logicalSectorBytes } = planned;
  return { path: pathOf(planned), sizeBytes, serial, wwn, model, sectorBytes: logicalSectorBytes };
}

/** By the kernel's name at the time of the inventory, which may be another when the plan is carried out. */
function pathOf({ lastName, serial, wwn }: PlannedDisk): string {
  return lastName ? `/dev/${lastName}` : `/dev/DISK(${serial || wwn})`;
}

function wipeCommands(planned: PlannedDisk): string[] {
  const disk = pathOf(planned);
  if (planned.table !== DiskAction.KEEP) {
    const partitions = planned.before.filter(({ name }) => name).map(({ name }) => `/dev/${name}`);
    return [
      ...(partitions.length ? [wipefs(partitions)] : []),
      wipefs([disk]),
      quoted(bootCodeCommand(disk)),
    ];
  }
  const doomed = planned.removes.map(({ number }) => partitionPath(disk, number));
  return doomed.length ? [wipefs(doomed)] : [];
}

function tableCommands(planned: PlannedDisk): string[] {
  const disk = pathOf(planned);
  const stays = planned.table === DiskAction.KEEP ? tableOf(planned) : undefined;
  if (planned.label !== "msdos")
    return [quoted(sgdiskCommand(planned, disk, identifiers, stays)), quoted(updateCommand(disk))];
  return [
    ...(stays ? ["# with what else is in the table and stays, as it is"] : []),
    `${quoted(sfdiskCommand(disk))} <<END`,
    sfdiskScript(planned, disk, identifiers, stays).trimEnd(),
    "END",
    quoted(updateCommand(disk)),
  ];
}

/** The part of the table that the plan speaks of. */
function tableOf(planned: PlannedDisk): FoundTable {
  const { label, removes, partitions } = planned;
  const kept = partitions.filter(({ action }) => action === DiskAction.KEEP);
  return {
    label: label || "gpt",
    id: `ID(${diskKey(planned)})`,
    partitions: [
      ...removes.map((removed) => ({ ...removed, type: "", uuid: "", active: false })),
      ...kept.map(({ number, firstLba, lastLba, typeCode, active }) => {
        return { number, firstLba, lastLba, type: typeCode, uuid: "", active };
      }),
    ],
  };
}

function markCommands(planned: PlannedDisk): string[] {
  const command = markCommand(planned, pathOf(planned), identifiers);
  return command ? [quoted(command)] : [];
}

/** What an older layout may have left where a new partition begins. */
function createdSignatures(plan: DiskPlan, devices: Devices): string[] {
  const created = plan.disks.flatMap((planned) =>
    createdPartitions(planned)
      .filter(({ kind }) => kind !== "extended")
      .map((partition) => deviceOf(devices, partitionName(planned, partition))),
  );
  return created.length ? [wipefs(created)] : [];
}

function layerCommands(layer: Layer, plan: DiskPlan, devices: Devices): string[] {
  return isKept(layer) ? startCommands(layer, devices) : makeCommands(layer, plan, devices);
}

function makeCommands(layer: Layer, plan: DiskPlan, devices: Devices): string[] {
  switch (layer.kind) {
    case "md": {
      const { md } = layer;
      const members = membersOf(md, devices);
      const create = mdadmCreateCommand(md, members, identifiers.uuid(`md/${md.name}`), false);
      return [...discards(md, members), quoted(create), wipefs([deviceOf(devices, `md/${md.name}`)])];
    }
    case "luks": {
      const { luks } = layer;
      const node = deviceOf(devices, luks.device);
      const format = luksFormatCommand(luks, node, identifiers.uuid(`luks/${luks.name}`));
      return [withSecret(format, luks), withSecret(luksOpenCommand(luks, node), luks)];
    }
    case "vg": {
      const { vg } = layer;
      const scope = scopeOf(vg, devices);
      const pvs = vg.devices.map((device) => {
        const pv = plan.pvs.find((one) => one.device === device && one.vg === vg.name);
        const uuid = identifiers.physicalVolume(device);
        return quoted(pvcreateCommand(pv, deviceOf(devices, device), uuid, scope));
      });
      return [...pvs, quoted(vgcreateCommand(vg, devices))];
    }
    case "lv": {
      const vg = plan.vgs.find(({ name }) => name === layer.lv.vg);
      return [quoted(lvcreateCommand(layer.lv, devices, vg ? scopeOf(vg, devices) : []))];
    }
  }
}

/** What stays is started, so that what lies on it can be made. */
function startCommands(layer: Layer, devices: Devices): string[] {
  switch (layer.kind) {
    case "md":
      return [
        `${quoted(mdadmAssembleCommand(layer.md, membersOf(layer.md, devices)))}  # unless it runs already`,
      ];
    case "luks": {
      const { luks } = layer;
      const open = luksOpenCommand(luks, deviceOf(devices, luks.device));
      return [`${withSecret(open, luks)}  # unless it is open already`];
    }
    case "vg": {
      const { vg } = layer;
      const removals = vg.removes.map((volume) => quoted(lvremoveCommand(vg, volume, devices)));
      const activations = activateCommands(vg, devices).map(quoted);
      // Only what is active can be removed, and removing leaves links behind.
      return removals.length ? [...activations, ...removals, ...activations] : activations;
    }
    case "lv":
      return [];
  }
}

/** Members of a mirror that are equal need not be made so. */
function discards({ level }: PlannedMd, members: string[]): string[] {
  if (level !== 1) return [];
  return [
    "# not where such a mirror was before; if all read as zeros after this, mdadm gets --assume-clean as well",
    ...members.map((member) => quoted(discardCommand(member))),
  ];
}

/** All but those that an image is written to. */
function filesystemCommands(plan: DiskPlan, devices: Devices): string[] {
  const roots = imageDevices(plan);
  return plan.fss
    .filter(({ action, device }) => action !== DiskAction.KEEP && !roots.includes(device))
    .flatMap((fs) =>
      [fs.device, ...fs.copies].map((device) =>
        quoted(mkfsCommand(fs, deviceOf(devices, device), filesystemIds(identifiers, device))),
      ),
    );
}

/** What the steps after this one do to the disks, in words. */
function laterSteps(plan: DiskPlan, devices: Devices): string[] {
  const written = plan.fss.filter(
    ({ action, device }) => action !== DiskAction.KEEP && imageDevices(plan).includes(device),
  );
  const booted = plan.disks.filter(({ bootloader }) => bootloader).map(pathOf);
  return [
    ...written.map(({ device, os }) => {
      const which = os.length ? `the image of ${os.join(", ")}` : "the image";
      return `# then ${which} is written to ${deviceOf(devices, device)}`;
    }),
    ...(booted.length ? [`# then GRUB is installed on ${booted.join(", ")}`] : []),
  ];
}

function withSecret(command: readonly string[], { secret }: PlannedLuks): string {
  return `${quoted(command)} < SECRET(${secret})`;
}

function wipefs(devices: string[]): string {
  return quoted(["wipefs", "--all", ...devices]);
}

function quoted(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./()-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}
