// Cuts a disk into partitions, to the sector: each starts and ends on a whole MiB, the GPT has its room at both
// ends, and nothing is rounded up into its neighbour.
import { create } from "@bufbuild/protobuf";
import { type PlannedPartition, PlannedPartitionSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Partition } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { describeDisk } from "./disk-choice.ts";
import { divide } from "./divide.ts";
import { mib, roundDown } from "./size.ts";

export type Layout = { ok: true; partitions: PlannedPartition[] } | { ok: false; message: string };

// The array of partition entries of a GPT.
const gptEntriesBytes = 16_384n;

/** `typeCodes` has one code for each partition. */
export function layoutPartitions(disk: Disk, partitions: Partition[], typeCodes: string[]): Layout {
  const sector = BigInt(disk.logicalSectorBytes);
  const described = describeDisk(disk);
  if (sector !== 512n && sector !== 4096n) {
    return {
      ok: false,
      message: `${described} reports sectors of ${sector} bytes; Muster knows 512 and 4096`,
    };
  }
  const { start, end } = usableBytes(disk.sizeBytes, sector);
  const divided = divide(partitions, end - start, mib);
  if (!divided.ok) return { ok: false, message: `${described}: ${divided.message}` };
  let next = start;
  const planned = divided.sizes.map((sizeBytes, index) => {
    const first = next;
    next += sizeBytes;
    return create(PlannedPartitionSchema, {
      number: index + 1,
      name: partitions[index]?.name ?? "",
      firstLba: first / sector,
      lastLba: next / sector - 1n,
      sizeBytes,
      typeCode: typeCodes[index] ?? "8300",
    });
  });
  return { ok: true, partitions: planned };
}

/** Between the GPT at the start, with its alignment, and its copy at the end. */
function usableBytes(total: bigint, sector: bigint): { start: bigint; end: bigint } {
  const copy = gptEntriesBytes + sector;
  const end = total > copy ? roundDown(total - copy, mib) : 0n;
  return { start: mib, end: end > mib ? end : mib };
}
