// Plans one disk: whether its partition table stays, what is taken out of it, and where everything comes to lie.
import { create } from "@bufbuild/protobuf";
import {
  DiskAction,
  PlannedDiskSchema,
  RemovedPartitionSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Parted, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import { instanceName } from "./device-names.ts";
import { type ChosenDisk, describeDisk } from "./disk-choice.ts";
import { describeFate } from "./disk-contents.ts";
import { type FoundPartition, isBlank, partitionsOf, volumeName, wholeDiskContent } from "./existing.ts";
import { decideKeep, type Policy } from "./keep-rules.ts";
import { isThatOne } from "./kept-partition.ts";
import { layoutPartitions, msdosReach } from "./partition-layout.ts";
import { type Label, typeFlagsOf } from "./partition-types.ts";
import type { Planning } from "./planning.ts";
import { typeCodeOf, usesOf } from "./scheme-devices.ts";

export function planDisk(scheme: SchemeSpec, chosen: ChosenDisk, planning: Planning): void {
  const { selector, index, disk } = chosen;
  const parted = scheme.parteds.find(({ disks }) => disks === selector);
  if (!parted) return;
  const label: Label = parted.label === "msdos" ? "msdos" : "gpt";
  const kept = keptHere(parted, chosen, planning);
  const table = tableAction(parted, label, disk, kept.size > 0, planning);
  const fates = table === DiskAction.KEEP ? sortPartitions(parted, disk, kept, planning) : undefined;
  const uses = usesOf(scheme);
  const layout = layoutPartitions({
    disk,
    label,
    wanted: parted.partitions.map((partition) => ({
      partition,
      typeCode: typeCodeOf(partition, uses, label),
    })),
    memory: planning.memory,
    kept,
    others: fates?.stay ?? [],
  });
  if (!layout.ok) planning.refuse(`disks ${selector}: ${layout.message}`);
  warnOfReach(chosen, label, planning);
  const partitions = layout.ok ? layout.partitions : [];
  const staying = new Set([...kept.values(), ...(fates?.stay ?? [])].map(({ name }) => name));
  const planned = create(PlannedDiskSchema, {
    selector,
    index,
    serial: disk.serial,
    wwn: disk.wwn,
    sizeBytes: disk.sizeBytes,
    lastName: disk.name,
    model: disk.model,
    logicalSectorBytes: disk.logicalSectorBytes,
    physicalSectorBytes: disk.physicalSectorBytes,
    label,
    table,
    partitions,
    removes: (fates?.go ?? []).map((found) => removed(found, disk)),
    bootloader: isBootDisk(parted, label),
    ...describeFate(
      disk,
      (name) => !isRemovedVolume(name, planning) && (staying.has(name) || !isPartition(name, disk)),
    ),
  });
  planning.plan.disks.push(planned);
  for (const { name, sizeBytes, kind } of partitions) {
    if (kind !== "extended") planning.sizes.set(instanceName(planned, name), sizeBytes);
  }
}

function warnOfReach({ selector, disk }: ChosenDisk, label: Label, planning: Planning): void {
  const reach = msdosReach(BigInt(disk.logicalSectorBytes));
  if (label === "gpt" || disk.sizeBytes <= reach) return;
  planning.warn(
    `disks ${selector}: ${describeDisk(disk)}: an msdos table reaches ${formatBytes(reach)}; use a GPT for the rest`,
  );
}

function keptHere(parted: Parted, chosen: ChosenDisk, planning: Planning): Map<string, FoundPartition> {
  const kept = new Map<string, FoundPartition>();
  for (const { name } of parted.partitions) {
    const found = planning.kept.partitions.get(instanceName(chosen, name));
    if (found) kept.set(name, found);
  }
  return kept;
}

function tableAction(
  parted: Parted,
  label: Label,
  disk: Disk,
  keepsSome: boolean,
  planning: Planning,
): DiskAction {
  if (keepsSome) return DiskAction.KEEP;
  if (parted.others !== "keep" || isBlank(disk)) return DiskAction.CREATE;
  const table = disk.tableType === "dos" ? "msdos" : disk.tableType;
  const whole = wholeDiskContent(disk);
  const places = partitionsOf(disk).every(({ startBytes }) => startBytes > 0n);
  if (table === label && places && (!whole || partitionsOf(disk).length > 0)) return DiskAction.KEEP;
  const found = whole
    ? `${whole.fsType} on the whole disk`
    : places
      ? `a table of type ${table || "unknown"}`
      : "partitions without known places";
  planning.refuse(
    `disks ${parted.disks}: ${describeDisk(disk)} has ${found}, so a ${label} table beside what is there is not possible; take the inventory again, or remove \`others: keep\``,
  );
  return DiskAction.CREATE;
}

/** What happens to each partition that is on the disk and is not kept for its data. */
function sortPartitions(
  parted: Parted,
  disk: Disk,
  kept: ReadonlyMap<string, FoundPartition>,
  planning: Planning,
): { stay: FoundPartition[]; go: FoundPartition[] } {
  const ours = new Set([...kept.values()].map(({ name }) => name));
  const policy: Policy = parted.others === "keep" || parted.others === "wipe" ? parted.others : "unsaid";
  const stay: FoundPartition[] = [];
  const go: FoundPartition[] = [];
  const undecided: string[] = [];
  for (const found of partitionsOf(disk)) {
    if (ours.has(found.name)) continue;
    const wanted = parted.partitions.some((partition) => isThatOne(parted, partition, found));
    // An extended partition stays or goes with the table's others.
    const outcome = decideKeep("differs", wanted, wanted ? "wipe" : policy, kept.size > 0);
    if (outcome === "refuse")
      undecided.push(found.partName ? `${found.name} (${found.partName})` : found.name);
    else if (outcome === "keep") stay.push(found);
    else go.push(found);
  }
  if (undecided.length) {
    planning.refuse(
      `disks ${parted.disks}: some of ${describeDisk(disk)} is kept, and the scheme does not name ${undecided.join(", ")}; say \`others: keep\` or \`others: wipe\` in its parted`,
    );
  }
  return { stay, go };
}

function removed({ number, startBytes, sizeBytes }: FoundPartition, { logicalSectorBytes }: Disk) {
  const sector = BigInt(logicalSectorBytes || 512);
  return create(RemovedPartitionSchema, {
    number,
    firstLba: startBytes / sector,
    lastLba: (startBytes + sizeBytes) / sector - 1n,
  });
}

function isPartition(name: string, disk: Disk): boolean {
  return disk.contents.some(
    (content) => content.name === name && content.parent === disk.name && content.type === "part",
  );
}

function isRemovedVolume(name: string, planning: Planning): boolean {
  const volume = volumeName(name);
  return volume !== undefined && (planning.kept.group(volume.vg)?.removes.includes(volume.lv) ?? false);
}

/** Where a boot loader goes: as the scheme says, or where it has something to boot from. */
function isBootDisk(parted: Parted, label: Label): boolean {
  if (parted.bootloader) return parted.bootloader === "install";
  return parted.partitions.some((partition) => {
    const flags = typeFlagsOf(partition, label);
    return flags.includes("bios_grub") || flags.includes("esp") || partition.flags.includes("boot");
  });
}
