// Plans for an image of a whole disk: they name one disk as the place of `/`, and nothing on it.
import type { DiskPlan, PlannedDisk } from "../gen/muster/v1/disk_plan_pb.ts";

/** The disk that gets the image; undefined where images go onto file systems. */
export function wholeDiskOf({ disks, rootDevice }: DiskPlan): PlannedDisk | undefined {
  return disks.find(({ selector, index }) => rootDevice === `disk/${selector}/${index}`);
}
