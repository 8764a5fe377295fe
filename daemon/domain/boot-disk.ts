// Whether a firmware can start from a disk of a plan.
import type { PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";

export function canStart({ label, bootloader, partitions }: PlannedDisk, firmware: "bios" | "uefi"): boolean {
  if (!bootloader) return false;
  // In an msdos table GRUB lies before the first partition.
  if (firmware === "bios" && label === "msdos") return true;
  const wanted = firmware === "bios" ? ["ef02"] : ["ef00", "ef"];
  return partitions.some(({ typeCode }) => wanted.includes(typeCode));
}
