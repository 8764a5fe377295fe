// What is on a disk now, for people who have to agree to its loss: as lines, and as extents for the picture.
import { create } from "@bufbuild/protobuf";
import { type DiskExtent, DiskExtentSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Disk, DiskContent } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import { allOf, partitionsOf } from "./existing.ts";

export type Fate = { destroys: string[]; keeps: string[]; before: DiskExtent[] };

/** `stays` says of each partition by its kernel name, and of each volume by `VG-LV`, whether it stays. */
export function describeFate(disk: Disk, stays: (name: string) => boolean): Fate {
  const partitions = partitionsOf(disk);
  // What lies on a partition shares its fate, unless it is a volume that is removed from a group that stays.
  const kept = new Set<string>();
  for (const partition of partitions.filter(({ name }) => stays(name))) {
    for (const { name } of allOf(partition)) kept.add(name);
  }
  const lines = (wanted: boolean) => [
    ...new Set(
      disk.contents.filter(({ name }) => (kept.has(name) && stays(name)) === wanted).map(describeContent),
    ),
  ];
  const destroys = lines(false);
  return {
    destroys: destroys.length ? destroys : [kept.size ? "nothing: what is on it stays" : "nothing found"],
    keeps: lines(true),
    before: partitions.map((partition) =>
      create(DiskExtentSchema, {
        name: partition.name,
        startBytes: partition.startBytes,
        sizeBytes: partition.sizeBytes,
        description: inShort(disk.contents.find(({ name }) => name === partition.name)),
        kept: kept.has(partition.name),
      }),
    ),
  };
}

function describeContent(content: DiskContent): string {
  const { name, type, sizeBytes, fsType, label, mountPoints } = content;
  const what =
    [kinds.get(type) ?? type.replace(/^raid(?=\d)/, "RAID "), name].filter(Boolean).join(" ") || "something";
  const facts = [
    sizeBytes ? formatBytes(sizeBytes) : "",
    systems.get(fsType) ?? fsType,
    label ? `"${label}"` : "",
  ];
  if (mountPoints.length) facts.push(`mounted at ${mountPoints.join(" ")}`);
  return [what, ...facts.filter(Boolean)].join(", ");
}

function inShort(content: DiskContent | undefined): string {
  if (!content) return "";
  const name = content.partName || content.label;
  return [name, shortSystems.get(content.fsType) ?? content.fsType].filter(Boolean).join(" ");
}

const kinds = new Map([
  ["part", "partition"],
  ["lvm", "volume"],
  ["crypt", "encrypted volume"],
]);

const systems = new Map([
  ["linux_raid_member", "member of a RAID"],
  ["LVM2_member", "physical volume of LVM"],
  ["crypto_LUKS", "encrypted (LUKS)"],
]);

const shortSystems = new Map([
  ["linux_raid_member", "RAID"],
  ["LVM2_member", "LVM"],
  ["crypto_LUKS", "LUKS"],
]);
