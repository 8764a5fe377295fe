// What is on a disk now and will be gone, for people who have to agree to it.
import type { Disk, DiskContent } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { formatBytes } from "./size.ts";

export function describeContents(disk: Disk): string[] {
  const lines = disk.contents.map(describe);
  return lines.length ? [...new Set(lines)] : ["nothing found"];
}

function describe(content: DiskContent): string {
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
