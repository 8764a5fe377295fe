// What an inventory says is on a disk now, as a tree: partitions, and what lies on them.
import type { Disk, DiskContent } from "../../proto/gen/muster/v1/inventory_pb.ts";

export type Found = {
  name: string;
  type: string;
  sizeBytes: bigint;
  fsType: string;
  label: string;
  children: Found[];
};

export type FoundPartition = Found & {
  number: number;
  startBytes: bigint;
  partName: string;
  partType: string;
};

/** In the order of their places. */
export function partitionsOf(disk: Disk): FoundPartition[] {
  return disk.contents
    .filter(({ type, parent }) => type === "part" && parent === disk.name)
    .map((content) => ({
      ...foundOf(content, disk, 0),
      number: content.partNumber || numberOf(content.name),
      startBytes: content.startBytes,
      // Before the inventory told them apart, `label` was the partition's name where it had no file system.
      partName: content.partName || (content.fsType ? "" : content.label),
      partType: content.partType,
    }))
    .sort((a, b) =>
      a.startBytes < b.startBytes ? -1 : a.startBytes > b.startBytes ? 1 : a.number - b.number,
    );
}

/** A file system, RAID member or volume on the whole disk, without a partition table. */
export function wholeDiskContent(disk: Disk): DiskContent | undefined {
  return disk.contents.find(
    ({ name, parent, fsType }) => fsType !== "" && name === disk.name && parent === "",
  );
}

/** Nothing is on it that could be lost. */
export function isBlank(disk: Disk): boolean {
  return disk.contents.length === 0;
}

/** Every node of a tree, itself first. */
export function allOf(node: Found): Found[] {
  return [node, ...node.children.flatMap(allOf)];
}

const deepest = 12;

function foundOf(content: DiskContent, disk: Disk, depth: number): Found {
  const children = depth < deepest ? disk.contents.filter(({ parent }) => parent === content.name) : [];
  return {
    name: content.name,
    type: content.type,
    sizeBytes: content.sizeBytes,
    fsType: content.fsType,
    label: content.fsLabel || content.label,
    children: children.map((child) => foundOf(child, disk, depth + 1)),
  };
}

// vda1, nvme0n1p1.
function numberOf(name: string): number {
  return Number(/(\d+)$/.exec(name)?.[1] ?? 0);
}

/** vg0 and root of vg0-root; device-mapper doubles the hyphens within names. */
export function volumeName(mapperName: string): { vg: string; lv: string } | undefined {
  const match = /^((?:[^-]|--)+)-((?:[^-]|--).*)$/.exec(mapperName);
  if (!match) return undefined;
  const [, vg = "", lv = ""] = match;
  return { vg: vg.replaceAll("--", "-"), lv: lv.replaceAll("--", "-") };
}
