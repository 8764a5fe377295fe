// Cuts a disk into partitions, to the sector: each new one starts and ends on a whole MiB, the tables have their
// room at both ends, nothing is rounded up into its neighbour, and what stays is gone around.
import { create } from "@bufbuild/protobuf";
import {
  DiskAction,
  type PlannedPartition,
  PlannedPartitionSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Partition } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { describeDisk } from "./disk-choice.ts";
import { type FoundPartition, partitionsOf } from "./existing.ts";
import { flow, logicalReserve, type Piece, type Span } from "./partition-flow.ts";
import { kindsOf, numbersOf } from "./partition-kinds.ts";
import { isExtended, type Label, typeCode } from "./partition-types.ts";
import { least, mib, most, parseBytes, roundDown } from "./size.ts";

export type Layout = { ok: true; partitions: PlannedPartition[] } | { ok: false; message: string };
type Wanted = { partition: Partition; typeCode: string };
type LayoutInput = {
  disk: Disk;
  label: Label;
  wanted: Wanted[];
  memory: bigint;
  /** Partitions of the scheme that are on the disk already and stay, by name. */
  kept: ReadonlyMap<string, FoundPartition>;
  /** Partitions that are not in the scheme and stay. */
  others: FoundPartition[];
};

/** The array of partition entries of a GPT. */
const gptEntriesBytes = 16_384n;

export function layoutPartitions(input: LayoutInput): Layout {
  const { disk, label, kept, others } = input;
  const sector = BigInt(disk.logicalSectorBytes);
  const described = describeDisk(disk);
  const no = (message: string): Layout => ({ ok: false, message: `${described}: ${message}` });
  if (sector !== 512n && sector !== 4096n) {
    return {
      ok: false,
      message: `${described} reports sectors of ${sector} bytes; Muster knows 512 and 4096`,
    };
  }
  const usable = usableBytes(disk.sizeBytes, sector, label);
  const kinds = kindsOf(
    input.wanted.map(({ partition }) => partition),
    label,
  );
  if (!kinds.ok) return no(kinds.message);
  const pieces: Piece[] = input.wanted.map((one, i) => ({ ...one, kind: kinds.kinds[i] ?? "" }));
  const stays = kept.size + others.length > 0;
  if (stays && label === "msdos" && (pieces.some(({ kind }) => kind === "logical") || hasExtended(disk))) {
    return no("a table with logical partitions can only be made whole; use a GPT to keep some of it");
  }
  for (const piece of pieces) {
    const span = anchor(piece, kept.get(piece.partition.name));
    if (span) piece.span = span;
  }
  const fault =
    anchorFault(pieces, others, disk, sector, label) ?? flow(pieces, others, usable, input.memory);
  if (fault) return no(fault);
  const numbers = numbersOf(pieces, kept, others, label);
  if (!numbers.ok) return no(numbers.message);
  return { ok: true, partitions: planned(pieces, numbers.numbers, input, sector, numbers.extended) };
}

/** By its type, for lsblk gives an extended partition the size of 1 KiB. */
function hasExtended(disk: Disk): boolean {
  return partitionsOf(disk).some(({ partType }) => isExtended(partType));
}

/** Between the table at the start, with its alignment, and the copy of a GPT at the end. */
export function usableBytes(total: bigint, sector: bigint, label: Label): Span {
  const copy = label === "gpt" ? gptEntriesBytes + sector : 0n;
  const reach = label === "gpt" ? total : least(total, msdosReach(sector));
  const end = reach > copy ? roundDown(reach - copy, mib) : 0n;
  return { start: mib, end: most(end, mib) };
}

/** An msdos table counts sectors in 32 bits. */
export function msdosReach(sector: bigint): bigint {
  return sector << 32n;
}

/** Where a partition is already, or has to be. */
function anchor({ partition }: Piece, found: FoundPartition | undefined): Span | undefined {
  if (found) return { start: found.startBytes, end: found.startBytes + found.sizeBytes };
  const start = parseBytes(partition.begin);
  const end = parseBytes(partition.end);
  return start === undefined || end === undefined ? undefined : { start, end };
}

function anchorFault(
  pieces: Piece[],
  others: FoundPartition[],
  disk: Disk,
  sector: bigint,
  label: Label,
): string | undefined {
  const first = label === "gpt" ? 2n * sector + gptEntriesBytes : sector;
  const last =
    label === "gpt" ? disk.sizeBytes - gptEntriesBytes - sector : least(disk.sizeBytes, msdosReach(sector));
  const placed = pieces.flatMap(({ partition, span }) => (span ? [{ name: partition.name, ...span }] : []));
  const all = [
    ...placed,
    ...others.map(({ name, startBytes, sizeBytes }) => ({
      name,
      start: startBytes,
      end: startBytes + sizeBytes,
    })),
  ];
  for (const { name, start, end } of placed) {
    if (start % sector || end % sector)
      return `${name} does not begin and end at whole sectors of ${sector} bytes`;
    if (end <= start) return `${name} ends before it begins`;
    if (start < first || end > last)
      return `${name} reaches out of the part of the disk that partitions can have`;
    const rival = all.find((other) => other.name !== name && other.start < end && start < other.end);
    if (rival) return `${name} and ${rival.name} overlap`;
  }
  for (const piece of pieces) {
    const { partition, span } = piece;
    const physical = BigInt(disk.physicalSectorBytes || disk.logicalSectorBytes);
    if (partition.begin && span && span.start % physical && !partition.keepData) {
      return `${partition.name} begins within a physical sector of ${physical} bytes; move \`begin\` to a multiple of it`;
    }
  }
  const order = placed.findIndex(({ start }, i) => start < (placed[i - 1]?.start ?? 0n));
  return order < 0
    ? undefined
    : `${placed[order]?.name} comes before ${placed[order - 1]?.name} on the disk, but after it in the scheme; put them in the order of the disk`;
}

function planned(
  pieces: Piece[],
  numbers: number[],
  { kept, disk, label }: LayoutInput,
  sector: bigint,
  extendedNumber: number,
): PlannedPartition[] {
  const made = pieces.flatMap(({ partition, typeCode: code, kind, span }, i) => {
    if (!span) return [];
    const found = kept.get(partition.name);
    return create(PlannedPartitionSchema, {
      number: numbers[i] ?? 0,
      name: partition.name,
      firstLba: span.start / sector,
      lastLba: span.end / sector - 1n,
      sizeBytes: span.end - span.start,
      typeCode: code,
      action: found ? DiskAction.KEEP : DiskAction.CREATE,
      kind,
      active: label === "msdos" && partition.flags.includes("boot"),
      legacyBoot: label === "gpt" && partition.flags.includes("legacy_boot"),
      configdrive: partition.configdrive,
    });
  });
  const logical = made.filter(({ kind }) => kind === "logical");
  const [first, last] = [logical[0], logical.at(-1)];
  if (!first || !last) return made.sort(byPlace);
  const firstLba = first.firstLba - logicalReserve / sector;
  const extended = create(PlannedPartitionSchema, {
    number: extendedNumber,
    name: pieces.find(({ kind }) => kind === "extended")?.partition.name ?? "extended",
    firstLba,
    lastLba: last.lastLba,
    sizeBytes: (last.lastLba - firstLba + 1n) * BigInt(disk.logicalSectorBytes),
    typeCode: typeCode("extended", "msdos"),
    action: DiskAction.CREATE,
    kind: "extended",
  });
  return [...made, extended].sort(byPlace);
}

function byPlace(a: PlannedPartition, b: PlannedPartition): number {
  return a.firstLba < b.firstLba ? -1 : a.firstLba > b.firstLba ? 1 : 0;
}
