// Resolves a scheme against one machine's inventory: pure, exact, and the same for the same input. What cannot
// be resolved without a guess is refused, with all reasons at once.
import { create } from "@bufbuild/protobuf";
import {
  type DiskPlan,
  DiskPlanSchema,
  type PlannedDisk,
  PlannedDiskSchema,
  type PlannedMd,
  PlannedMdSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Inventory } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Md, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { arraySize } from "./array-size.ts";
import { type ChosenDisk, chooseDisks } from "./disk-choice.ts";
import { describeContents } from "./disk-contents.ts";
import { planFilesystems } from "./filesystem-plan.ts";
import { layoutPartitions } from "./partition-layout.ts";
import { checkScheme } from "./scheme-check.ts";
import { typeCodeOf, usesOf } from "./scheme-devices.ts";
import { planVolumes } from "./volume-plan.ts";

export type DiskPlanOptions = {
  /** Serials or wwns of disks that are no candidates. */
  protectedDisks: string[];
};
export type DiskPlanResult = { ok: true; plan: DiskPlan } | { ok: false; faults: { message: string }[] };

/** The sizes of a plan's devices, by their names in the plan. */
export type DeviceSizes = Map<string, bigint>;

export function planDisks(
  scheme: SchemeSpec,
  inventory: Inventory,
  options: DiskPlanOptions,
): DiskPlanResult {
  const broken = checkScheme(scheme).map(({ path, message }) => `${path}: ${message}`);
  if (broken.length) return refuse(broken);
  const choice = chooseDisks(scheme.disks, inventory.disks, options.protectedDisks);
  if (!choice.ok) return refuse(choice.messages);

  const messages: string[] = [];
  const disks = choice.disks.map((chosen) => planDisk(scheme, chosen, messages));
  if (messages.length) return refuse(messages);

  const sizes: DeviceSizes = new Map();
  for (const disk of disks) {
    for (const { name, sizeBytes } of disk.partitions) sizes.set(partitionName(disk, name), sizeBytes);
  }
  const mds = scheme.mds.map((md) => planMd(md, disks, sizes, messages));
  const { vgs, lvs } = planVolumes(scheme, mds, (device) => expand(device, disks), sizes, messages);
  const filesystems = planFilesystems(scheme, disks, (device) => expand(device, disks), sizes, messages);
  if (messages.length) return refuse(messages);
  return { ok: true, plan: create(DiskPlanSchema, { disks, mds, vgs, lvs, ...filesystems }) };
}

function planDisk(
  scheme: SchemeSpec,
  { selector, index, disk }: ChosenDisk,
  messages: string[],
): PlannedDisk {
  const partitions = scheme.parteds.find(({ disks }) => disks === selector)?.partitions ?? [];
  const uses = usesOf(scheme);
  const codes = partitions.map((partition) => typeCodeOf(partition, uses));
  const layout = layoutPartitions(disk, partitions, codes);
  if (!layout.ok) messages.push(`disks ${selector}: ${layout.message}`);
  return create(PlannedDiskSchema, {
    selector,
    index,
    serial: disk.serial,
    wwn: disk.wwn,
    sizeBytes: disk.sizeBytes,
    lastName: disk.name,
    model: disk.model,
    logicalSectorBytes: disk.logicalSectorBytes,
    partitions: layout.ok ? layout.partitions : [],
    destroys: describeContents(disk),
  });
}

function planMd(
  { name, level, devices }: Md,
  disks: PlannedDisk[],
  sizes: DeviceSizes,
  messages: string[],
): PlannedMd {
  const members = devices.flatMap((device) => expand(device, disks));
  const sizeBytes = arraySize(
    level,
    members.map((member) => sizes.get(member) ?? 0n),
  );
  if (sizeBytes === 0n)
    messages.push(`md ${name}: its members are too small to hold RAID metadata; make them 16 MiB or more`);
  sizes.set(`md/${name}`, sizeBytes);
  return create(PlannedMdSchema, { name, level, devices: members, sizeBytes });
}

/** A device of the scheme in the names of the plan: a partition is one on every disk of its selector. */
function expand(device: string, disks: PlannedDisk[]): string[] {
  if (!device.startsWith("partition/")) return [device];
  const name = device.slice("partition/".length);
  return disks
    .filter(({ partitions }) => partitions.some((partition) => partition.name === name))
    .map((disk) => partitionName(disk, name));
}

function partitionName({ selector, index }: PlannedDisk, name: string): string {
  return `partition/${selector}/${index}/${name}`;
}

function refuse(messages: string[]): DiskPlanResult {
  return { ok: false, faults: messages.map((message) => ({ message })) };
}
