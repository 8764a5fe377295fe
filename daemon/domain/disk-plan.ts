// Resolves a scheme against one machine's inventory: pure, exact, and the same for the same input. What cannot
// be resolved without a guess is refused, with all reasons at once.
import { create } from "@bufbuild/protobuf";
import {
  DiskAction,
  type DiskPlan,
  PlannedLuksSchema,
  PlannedMdSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Inventory } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Luks, Md, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import { arraySize, defaultChunkBytes, encryptedSize, oldMetadataRoom, stripeBytes } from "./array-size.ts";
import { DeviceNames } from "./device-names.ts";
import { chooseDisks } from "./disk-choice.ts";
import { planDisk } from "./disk-table.ts";
import { planFilesystems } from "./filesystem-plan.ts";
import { resolveKeeps } from "./keeps.ts";
import { foundationOf } from "./kept-devices.ts";
import { Planning } from "./planning.ts";
import { holdsKernel } from "./scheme-boot.ts";
import { checkScheme } from "./scheme-check.ts";
import { usesMemory } from "./scheme-sizes.ts";
import { sharedFaults } from "./shared-contents.ts";
import { least, mib, most, parseBytes } from "./size.ts";
import { planGroup } from "./volume-plan.ts";
import { planWholeDisk } from "./whole-disk-plan.ts";

export type DiskPlanOptions = {
  /** Serials or wwns of disks that are no candidates. */
  protectedDisks: string[];
};
export type DiskPlanResult = { ok: true; plan: DiskPlan } | { ok: false; faults: { message: string }[] };

export function planDisks(
  scheme: SchemeSpec,
  inventory: Inventory,
  options: DiskPlanOptions,
): DiskPlanResult {
  const broken = brokenScheme(scheme);
  if (broken.length) return refuse(broken);
  if (inventory.memoryBytes === 0n && usesMemory(scheme)) {
    return refuse([
      "sizes depend on the memory of the node, which its inventory does not say; take it again, or give `muster inventory from-lsblk` its --memory",
    ]);
  }
  const choice = chooseDisks(scheme.disks, inventory.disks, options.protectedDisks);
  if (!choice.ok) return refuse(choice.messages);
  const names = new DeviceNames(scheme, choice.disks);
  const { keeps, messages } = resolveKeeps(scheme, names, inventory.disks, inventory.memoryBytes);
  if (messages.length) return refuse(messages);

  const planning = new Planning(names, keeps, inventory.memoryBytes);
  for (const message of choice.warnings) planning.warn(message);
  for (const chosen of choice.disks) {
    if (scheme.wholeDisk) planWholeDisk(chosen, planning);
    else planDisk(scheme, chosen, planning);
  }
  if (planning.messages.length) return refuse(planning.messages);
  sharedFaults(choice.disks, inventory.disks, options.protectedDisks, planning);
  for (const ref of inOrder(scheme)) planDevice(scheme, ref, planning);
  if (!scheme.wholeDisk) planFilesystems(scheme, planning);
  return planning.messages.length ? refuse(planning.messages) : { ok: true, plan: planning.plan };
}

// A fleet shares a few schemes, and the check of one is longer than the planning of a node.
const checked = new WeakMap<SchemeSpec, string[]>();

function brokenScheme(scheme: SchemeSpec): string[] {
  const known = checked.get(scheme);
  if (known) return known;
  const faults = checkScheme(scheme).map(({ path, message }) => `${path}: ${message}`);
  checked.set(scheme, faults);
  return faults;
}

/** Arrays, encrypted devices and groups, each after what it lies on. */
function inOrder(scheme: SchemeSpec): string[] {
  const order: string[] = [];
  const visit = (ref: string) => {
    if (order.includes(ref)) return;
    for (const below of foundationOf(scheme, ref)) visit(below);
    if (/^(?:md|luks|vg)\//.test(ref)) order.push(ref);
  };
  for (const { name } of scheme.mds) visit(`md/${name}`);
  for (const { name } of scheme.luks) visit(`luks/${name}`);
  for (const { name } of scheme.vgs) visit(`vg/${name}`);
  return order;
}

function planDevice(scheme: SchemeSpec, ref: string, planning: Planning): void {
  const [kind, name] = ref.split("/");
  const md = kind === "md" && scheme.mds.find((one) => one.name === name);
  const luks = kind === "luks" && scheme.luks.find((one) => one.name === name);
  const vg = kind === "vg" && scheme.vgs.find((one) => one.name === name);
  if (md) planMd(scheme, md, planning);
  if (luks) planLuks(luks, planning);
  if (vg) planGroup(scheme, vg, planning);
}

function planMd(scheme: SchemeSpec, md: Md, planning: Planning): void {
  const { name, level } = md;
  const members = md.devices.flatMap((device) => planning.names.expand(device));
  const spares = md.spares.flatMap((device) => planning.names.expand(device));
  const metadata = md.metadata || "1.2";
  const chunkBytes = level === 1 ? 0n : (parseBytes(md.chunk) ?? defaultChunkBytes);
  const sizesOf = (devices: string[]) => devices.map((device) => planning.sizes.get(device) ?? 0n);
  const shape = arraySize({ level, members: sizesOf(members), metadata, chunkBytes });
  const kept = planning.kept.nodes.get(`md/${name}`);
  if (!kept) {
    checkMembers(scheme, md, sizesOf(members), sizesOf(spares), shape.componentBytes, planning);
    if (metadata === "0.90")
      checkOldMetadata(md, sizesOf(members), chunkBytes, shape.componentBytes, planning);
  }
  const sizeBytes = kept?.sizeBytes ?? shape.sizeBytes;
  planning.sizes.set(`md/${name}`, sizeBytes);
  planning.stripes.set(`md/${name}`, stripeBytes(level, members.length, chunkBytes));
  planning.plan.mds.push(
    create(PlannedMdSchema, {
      name,
      level,
      devices: members,
      spares,
      sizeBytes,
      metadata,
      chunkBytes,
      // mdadm takes all of each member for RAID 0.
      componentBytes: kept || level === 0 ? 0n : shape.componentBytes,
      action: kept ? DiskAction.KEEP : DiskAction.CREATE,
    }),
  );
}

function checkMembers(
  scheme: SchemeSpec,
  { name, level }: Md,
  members: bigint[],
  spares: bigint[],
  componentBytes: bigint,
  planning: Planning,
): void {
  if (componentBytes === 0n) {
    planning.refuse(`md ${name}: its members are too small to hold RAID metadata; make them 16 MiB or more`);
  }
  const smallest = members.reduce(least, members[0] ?? 0n);
  const largest = members.reduce(most, 0n);
  if (largest > smallest + smallest / 100n) {
    const small = formatBytes(smallest);
    const use =
      level === 0
        ? `all of it is used, but what lies beyond ${small} is striped over fewer of them`
        : `of each only ${small} is used`;
    if (level === 0 && holdsKernel(scheme, `md/${name}`)) {
      planning.refuse(
        `md ${name}: GRUB reads RAID 0 only from members of one size, and a kernel would be on it; give the partitions a fixed size, or put /boot on a partition or another md`,
      );
    }
    planning.warn(`md ${name}: its members have from ${small} to ${formatBytes(largest)}; ${use}`);
  }
  if (spares.some((spare) => spare < smallest)) {
    planning.refuse(
      `md ${name}: a spare is smaller than its smallest member of ${formatBytes(smallest)}; make it larger`,
    );
  }
}

/** What metadata 0.90 has no field for. mdadm would refuse it too, but only after the disks have been wiped. */
function checkOldMetadata(
  { name, level }: Md,
  members: bigint[],
  chunkBytes: bigint,
  componentBytes: bigint,
  planning: Planning,
): void {
  if (level > 0) {
    if (componentBytes > 2n << 40n)
      planning.refuse(`md ${name}: metadata 0.90 has members of 2 TiB at most; use 1.0 or 1.2`);
    return;
  }
  // Beyond the smallest member a RAID 0 has one of two layouts, and nothing would say which.
  const chunks = members.map((size) => oldMetadataRoom(size) / chunkBytes);
  if (new Set(chunks).size < 2) return;
  const [smallest, largest] = [members.reduce(least, members[0] ?? 0n), members.reduce(most, 0n)];
  planning.refuse(
    `md ${name}: RAID 0 with metadata 0.90 needs members of one size, and these have from ${smallest / mib} to ${largest / mib} MiB; use metadata 1.0 or 1.2, or give the partitions a fixed size`,
  );
}

function planLuks(luks: Luks, planning: Planning): void {
  const [device = ""] = planning.names.expand(luks.device);
  const type = luks.type || "luks2";
  const kept = planning.kept.nodes.get(`luks/${luks.name}`);
  const sizeBytes = kept?.sizeBytes ?? encryptedSize(planning.sizes.get(device) ?? 0n, type);
  if (sizeBytes === 0n)
    planning.refuse(`luks ${luks.name}: ${device} is too small for its header; make it larger`);
  planning.sizes.set(`luks/${luks.name}`, sizeBytes);
  planning.plan.luks.push(
    create(PlannedLuksSchema, {
      name: luks.name,
      device,
      secret: luks.secret,
      type,
      options: luks.options,
      sizeBytes,
      action: kept ? DiskAction.KEEP : DiskAction.CREATE,
    }),
  );
}

function refuse(messages: string[]): DiskPlanResult {
  return { ok: false, faults: messages.map((message) => ({ message })) };
}
