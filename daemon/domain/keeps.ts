// Resolves what a scheme keeps against what is on the disks: each kept device must be there exactly as described.
// Whatever is missing or differs is said, and nothing is planned then.
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Fs, Md, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import type { DeviceNames, Instance } from "./device-names.ts";
import { type ChosenDisk, describeDisk } from "./disk-choice.ts";
import { type Found, type FoundPartition, isBlank, volumeName } from "./existing.ts";
import { keepRequests, withFoundations } from "./kept-devices.ts";
import { type KeptGroup, resolveGroup } from "./kept-group.ts";
import { differences, findPartition } from "./kept-partition.ts";

/** What is kept, by the names of the plan. */
export class Keeps {
  readonly partitions = new Map<string, FoundPartition>();
  readonly nodes = new Map<string, Found>();
  readonly groups = new Map<string, KeptGroup>();

  has(device: string): boolean {
    return this.nodes.has(device);
  }

  group(name: string): KeptGroup | undefined {
    return this.groups.get(name);
  }
}

type KeepResult = { keeps: Keeps; messages: string[] };
type Context = {
  scheme: SchemeSpec;
  names: DeviceNames;
  inventory: Disk[];
  memory: bigint;
  keeps: Keeps;
  messages: string[];
};

export function resolveKeeps(
  scheme: SchemeSpec,
  names: DeviceNames,
  inventory: Disk[],
  memory: bigint,
): KeepResult {
  const context: Context = { scheme, names, inventory, memory, keeps: new Keeps(), messages: [] };
  const refs = new Set<string>();
  for (const request of keepRequests(scheme)) {
    const all = withFoundations(scheme, request);
    if (isThere(request, all, context)) for (const ref of all) refs.add(ref);
  }
  // From the bottom up: a partition before the array on it, and that before the volume.
  const waiting = [...refs];
  const order = ["partition", "md", "luks", "vg", "lv"];
  waiting.sort((a, b) => order.indexOf(kindOf(a)) - order.indexOf(kindOf(b)));
  const done = new Set<string>();
  for (const ref of waiting) resolve(ref, refs, done, context);
  for (const fs of scheme.fss) if (fs.keepData) checkFs(fs, context);
  return { keeps: context.keeps, messages: context.messages };
}

/** Whether there is anything to keep: on empty disks there is not, and only on some of them there is doubt. */
function isThere(request: string, all: Set<string>, { names, messages }: Context): boolean {
  const disks = new Map<Disk, ChosenDisk>();
  for (const { name, chosen } of names.instances) {
    for (const ref of all) if (names.expand(ref).includes(name)) disks.set(chosen.disk, chosen);
  }
  const blank = [...disks.keys()].filter(isBlank);
  if (blank.length === disks.size) return false;
  if (blank.length === 0) return true;
  messages.push(
    `${request} keeps its data, but ${blank.map(describeDisk).join(" and ")} is empty and another of its disks is not: a disk may have been replaced; repair it in the running system first, or remove keep_data`,
  );
  return false;
}

function resolve(ref: string, refs: Set<string>, done: Set<string>, context: Context): void {
  if (done.has(ref)) return;
  done.add(ref);
  for (const below of withFoundations(context.scheme, ref)) {
    if (below !== ref) resolve(below, refs, done, context);
  }
  const { scheme, names } = context;
  const [kind, first = "", second = ""] = ref.split("/");
  switch (kind) {
    case "partition":
      for (const instance of names.instances) {
        if (names.expand(ref).includes(instance.name)) keepPartition(instance, context);
      }
      return;
    case "md": {
      const md = scheme.mds.find(({ name }) => name === first);
      if (md) keepArray(md, context);
      return;
    }
    case "luks":
      keepLuks(first, context);
      return;
    case "vg":
      keepGroup(first, context);
      return;
    default:
      keepVolume(first, second, context);
  }
}

function keepPartition(instance: Instance, { scheme, memory, keeps, messages }: Context): void {
  const { name, chosen, partition } = instance;
  if (keeps.has(name)) return;
  const parted = scheme.parteds.find(({ disks }) => disks === chosen.selector);
  if (!parted) return;
  const found = findPartition(parted, partition, chosen.disk);
  const on = describeDisk(chosen.disk);
  if (typeof found === "string") {
    messages.push(`${name} keeps its data, but ${on} ${found}`);
    return;
  }
  const wrong = differences(scheme, parted, partition, found, chosen.disk, memory);
  if (wrong.length) {
    messages.push(
      [`${name} keeps its data, but ${found.name} of ${on} is not as described:`, ...wrong].join("\n  "),
    );
    return;
  }
  keeps.partitions.set(name, found);
  keeps.nodes.set(name, found);
}

function keepArray(md: Md, { names, keeps, messages }: Context): void {
  const members = [...md.devices, ...md.spares].flatMap((device) => names.expand(device));
  const nodes = members.flatMap((member) => keeps.nodes.get(member) ?? []);
  // What is wrong with a member has been said.
  if (nodes.length < members.length) return;
  const arrays = nodes.map(({ children }) => children.find(({ type }) => isArray(type)));
  const [array] = arrays;
  const stray = arrays.findIndex((one) => one?.name !== array?.name);
  if (!array || stray >= 0) {
    const where = nodes.map(({ name }) => name).join(", ");
    messages.push(
      `md ${md.name} keeps its data, but no array of ${where} runs; start it (mdadm --assemble --scan) and take the inventory again`,
    );
    return;
  }
  if (array.type !== `raid${md.level}`) {
    messages.push(
      `md ${md.name} keeps its data, but ${array.name} is not as described:\n  level: wanted raid${md.level}, found ${array.type}`,
    );
    return;
  }
  keeps.nodes.set(`md/${md.name}`, array);
}

function isArray(type: string): boolean {
  return /^raid\d|^linear$/.test(type);
}

/** Refused while it is locked: nothing could say whether what is in it is as described. */
function keepLuks(name: string, { scheme, names, keeps, messages }: Context): void {
  const luks = scheme.luks.find((one) => one.name === name);
  const node = luks && keeps.nodes.get(names.expand(luks.device)[0] ?? "");
  if (!luks || !node) return;
  if (node.fsType !== "crypto_LUKS") {
    messages.push(
      `luks ${name} keeps its data, but ${node.name} is not encrypted: found ${node.fsType || "nothing known"}`,
    );
    return;
  }
  const open = node.children.find(({ type }) => type === "crypt");
  if (open) keeps.nodes.set(`luks/${name}`, open);
  else
    messages.push(
      `luks ${name} keeps its data, but ${node.name} is locked, so what is in it cannot be checked; open it and take the inventory again`,
    );
}

function keepGroup(name: string, { scheme, names, inventory, memory, keeps, messages }: Context): void {
  const vg = scheme.vgs.find((one) => one.name === name);
  if (!vg) return;
  const devices = vg.devices.flatMap((device) => names.expand(device));
  const nodes = devices.flatMap((device) => keeps.nodes.get(device) ?? []);
  if (nodes.length < devices.length) return;
  const group = resolveGroup(scheme, vg, nodes, inventory, memory);
  if (typeof group === "string") messages.push(group);
  else {
    keeps.groups.set(name, group);
    keeps.nodes.set(`vg/${name}`, nodes[0] ?? emptyNode);
  }
}

const emptyNode: Found = { name: "", type: "", sizeBytes: 0n, fsType: "", label: "", children: [] };

function keepVolume(vgName: string, lvName: string, { scheme, keeps, messages }: Context): void {
  const group = keeps.group(vgName);
  const lv = scheme.lvs.find(({ vg, name }) => vg === vgName && name === lvName);
  if (!group || !lv) return;
  const found = group.nodes.find(({ name }) => volumeName(name)?.lv === lvName);
  if (!found) {
    const there = group.volumes.join(", ") || "none";
    messages.push(`lv ${vgName}/${lvName} keeps its data, but ${vgName} has no such volume; it has ${there}`);
    return;
  }
  const wrong = group.mismatch(lv, found.sizeBytes);
  if (wrong) {
    messages.push(
      `lv ${vgName}/${lvName} keeps its data, but is not as described:\n  size: wanted ${wrong}, found ${formatBytes(found.sizeBytes)}`,
    );
    return;
  }
  keeps.nodes.set(`lv/${vgName}/${lvName}`, found);
}

function checkFs(fs: Fs, { names, keeps, messages }: Context): void {
  for (const device of names.expand(fs.device)) {
    const node = keeps.nodes.get(device);
    if (!node) continue;
    const wrong: string[] = [];
    if (node.fsType !== fs.type)
      wrong.push(`type: wanted ${fs.type}, found ${node.fsType || "nothing known"}`);
    if (fs.label && node.label !== fs.label)
      wrong.push(`label: wanted ${fs.label}, found ${node.label || "none"}`);
    if (wrong.length) {
      messages.push(
        [`${device} (${node.name}) keeps its data, but its file system is not as described:`, ...wrong].join(
          "\n  ",
        ),
      );
    }
  }
}

function kindOf(ref: string): string {
  return ref.split("/")[0] ?? "";
}
