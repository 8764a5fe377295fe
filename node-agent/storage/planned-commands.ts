// The commands that carry a plan out, as they would be run on the disks that it was made for: for people, before
// anything happens. They are built by the same functions that the partition step runs them from; what that step
// does between them (waiting, looking, freeing what is in use) is not among them.
import { DiskAction, type DiskPlan, type PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { mdadmCreateCommand, membersOf } from "./arrays.ts";
import { deviceOf, logicalVolumePath, partitionDevices, partitionPath } from "./devices.ts";
import { diskKey, type MachineDisk } from "./disks.ts";
import { filesystemIds, mkfsCommand } from "./filesystems.ts";
import { sgdiskCommand } from "./gpt.ts";
import type { Identifiers } from "./identifiers.ts";
import { isKept } from "./keep.ts";
import { luksFormatCommand } from "./luks.ts";
import { sfdiskScript } from "./msdos.ts";
import { type Layer, orderLayers } from "./order.ts";
import { createdPartitions, type FoundTable, isRewritten, partitionName } from "./table-changes.ts";
import { lvcreateCommand, pvcreateCommand } from "./volumes.ts";

/** They follow from the deployment, which there is none of yet. */
const identifiers: Identifiers = {
  uuid: (device) => `UUID(${device})`,
  serial: (device) => `SERIAL(${device})`,
  physicalVolume: (device) => `PVUUID(${device})`,
};

/** A line each, as a shell would take it. */
export function plannedCommands(plan: DiskPlan): string[] {
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
    const partitions = planned.before.map(({ name }) => `/dev/${name}`);
    return [
      ...(partitions.length ? [wipefs(partitions)] : []),
      wipefs([disk]),
      quoted(["sgdisk", "--zap-all", disk]),
    ];
  }
  const doomed = planned.removes.map(({ number }) => partitionPath(disk, number));
  return doomed.length ? [wipefs(doomed)] : [];
}

function tableCommands(planned: PlannedDisk): string[] {
  const disk = pathOf(planned);
  const stays = planned.table === DiskAction.KEEP ? tableOf(planned) : undefined;
  const write =
    planned.label === "msdos"
      ? [
          `sfdisk --wipe=never ${disk} <<END`,
          sfdiskScript(planned, disk, identifiers, stays).trimEnd(),
          "END",
        ]
      : [quoted(sgdiskCommand(planned, disk, identifiers, stays))];
  return [...write, quoted(["partx", "--update", disk])];
}

/** The part of the table that the plan speaks of. */
function tableOf({ label, removes, partitions }: PlannedDisk): FoundTable {
  const unknown = { type: "", uuid: "", active: false };
  const kept = partitions.filter(({ action }) => action === DiskAction.KEEP);
  return {
    label: label || "gpt",
    id: "",
    partitions: [...removes, ...kept].map(({ number, firstLba, lastLba }) => ({
      number,
      firstLba,
      lastLba,
      ...unknown,
    })),
  };
}

/** What an older layout may have left where a new partition begins. */
function createdSignatures(plan: DiskPlan, devices: ReadonlyMap<string, string>): string[] {
  const created = plan.disks.flatMap((planned) =>
    createdPartitions(planned)
      .filter(({ kind }) => kind !== "extended")
      .map((partition) => deviceOf(devices, partitionName(planned, partition))),
  );
  return created.length ? [wipefs(created)] : [];
}

function layerCommands(layer: Layer, plan: DiskPlan, devices: ReadonlyMap<string, string>): string[] {
  if (isKept(layer)) {
    if (layer.kind !== "vg") return [];
    const { name, removes } = layer.vg;
    return removes.map((volume) => quoted(["lvremove", "--yes", `${name}/${volume}`]));
  }
  switch (layer.kind) {
    case "md": {
      const members = membersOf(layer.md, devices);
      return [quoted(mdadmCreateCommand(layer.md, members, identifiers.uuid(`md/${layer.md.name}`), false))];
    }
    case "luks": {
      const { name, device } = layer.luks;
      const node = deviceOf(devices, device);
      return [
        `${quoted(luksFormatCommand(layer.luks, node, identifiers.uuid(`luks/${name}`)))} < SECRET(${layer.luks.secret})`,
        `${quoted(["cryptsetup", "open", "--key-file=-", node, name])} < SECRET(${layer.luks.secret})`,
      ];
    }
    case "vg": {
      const { name, extentBytes } = layer.vg;
      const members = layer.vg.devices.map((device) => deviceOf(devices, device));
      const pvs = layer.vg.devices.map((device) => {
        const pv = plan.pvs.find((one) => one.device === device && one.vg === name);
        return quoted(pvcreateCommand(pv, deviceOf(devices, device), identifiers.physicalVolume(device), []));
      });
      const extent = extentBytes ? ["--physicalextentsize", `${extentBytes}b`] : [];
      return [...pvs, quoted(["vgcreate", "--yes", ...extent, name, ...members])];
    }
    case "lv":
      return [quoted(lvcreateCommand(layer.lv, devices, []))];
  }
}

/** All but those that an image is written to. */
function filesystemCommands(plan: DiskPlan, devices: ReadonlyMap<string, string>): string[] {
  const roots = [plan.rootDevice, ...plan.systems.map(({ rootDevice }) => rootDevice)];
  return plan.fss.flatMap((fs) => {
    if (fs.action === DiskAction.KEEP) return [];
    if (roots.includes(fs.device)) return [`# the image is written to ${deviceOf(devices, fs.device)}`];
    return [fs.device, ...fs.copies].map((device) =>
      quoted(mkfsCommand(fs, deviceOf(devices, device), filesystemIds(identifiers, device))),
    );
  });
}

function wipefs(devices: string[]): string {
  return quoted(["wipefs", "--all", ...devices]);
}

function quoted(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./()-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}
