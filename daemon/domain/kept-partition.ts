// Finds the partition that is to be kept among those on the disk, and says in what it differs from the scheme.
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Parted, Partition, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import { sizeMismatch } from "./divide.ts";
import { type FoundPartition, partitionsOf, wholeDiskContent } from "./existing.ts";
import { usableBytes } from "./partition-layout.ts";
import { describeType, type Label, sameType } from "./partition-types.ts";
import { typeCodeOf, usesOf } from "./scheme-devices.ts";
import { mib, parseBytes } from "./size.ts";

/** The partition, or what the disk has instead. */
export function findPartition(parted: Parted, partition: Partition, disk: Disk): FoundPartition | string {
  const label = parted.label || "gpt";
  const whole = wholeDiskContent(disk);
  const there = partitionsOf(disk);
  if (whole && there.length === 0) return `has ${whole.fsType} on the whole disk and no partition table`;
  const table = disk.tableType === "dos" ? "msdos" : disk.tableType;
  if (table !== label) return `has ${table ? `a table of type ${table}` : "no known table"}, not ${label}`;
  if (there.some(({ startBytes }) => startBytes === 0n))
    return "was reported without the places of its partitions; take the inventory again";
  const matching = there.filter((found) => isThatOne(parted, partition, found));
  const [found] = matching;
  if (found && matching.length === 1) return found;
  const list =
    there.map(({ name, partName }) => (partName ? `${name} (${partName})` : name)).join(", ") || "none";
  return found
    ? `has ${matching.length} partitions that it could be: ${list}`
    : `has no such partition; its partitions: ${list}`;
}

/** By its number if the scheme has one, by its place if it has that, and else by its name in the table. */
export function isThatOne(parted: Parted, partition: Partition, found: FoundPartition): boolean {
  if (partition.count) return found.number === partition.count;
  const begin = parseBytes(partition.begin);
  if (begin !== undefined) return found.startBytes === begin;
  if (parted.label === "msdos") return found.number === parted.partitions.indexOf(partition) + 1;
  return found.partName === partition.name;
}

/** One line for each difference. */
export function differences(
  scheme: SchemeSpec,
  parted: Parted,
  partition: Partition,
  found: FoundPartition,
  disk: Disk,
  memory: bigint,
): string[] {
  const label: Label = parted.label === "msdos" ? "msdos" : "gpt";
  const lines: string[] = [];
  const code = typeCodeOf(partition, usesOf(scheme), label);
  if (found.partType && !sameType(code, found.partType))
    lines.push(`type: wanted ${describeType(code)}, found ${describeType(found.partType)}`);
  const begin = parseBytes(partition.begin);
  const end = parseBytes(partition.end);
  const foundEnd = found.startBytes + found.sizeBytes;
  if (begin !== undefined && begin !== found.startBytes)
    lines.push(`begin: wanted ${partition.begin}, found ${exact(found.startBytes)}`);
  if (end !== undefined && end !== foundEnd)
    lines.push(`end: wanted ${partition.end}, found ${exact(foundEnd)}`);
  if (end === undefined) {
    const { start, end: last } = usableBytes(disk.sizeBytes, BigInt(disk.logicalSectorBytes || 512), label);
    const frame = { whole: last - start, room: last - start, unit: mib, memory };
    const wanted = sizeMismatch(partition, found.sizeBytes, frame);
    if (wanted !== undefined) lines.push(`size: wanted ${wanted}, found ${exact(found.sizeBytes)}`);
  }
  return lines;
}

function exact(bytes: bigint): string {
  return bytes % mib === 0n ? formatBytes(bytes) : `${formatBytes(bytes)} (${bytes} B)`;
}
