// Plans the disk of an image of a whole disk: it is emptied, and the image brings all that will be on it.
import { create } from "@bufbuild/protobuf";
import { DiskAction, PlannedDiskSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { ChosenDisk } from "./disk-choice.ts";
import { describeFate } from "./disk-contents.ts";
import type { Planning } from "./planning.ts";

export function planWholeDisk({ selector, index, disk }: ChosenDisk, { plan }: Planning): void {
  plan.disks.push(
    create(PlannedDiskSchema, {
      selector,
      index,
      serial: disk.serial,
      wwn: disk.wwn,
      sizeBytes: disk.sizeBytes,
      lastName: disk.name,
      model: disk.model,
      logicalSectorBytes: disk.logicalSectorBytes,
      physicalSectorBytes: disk.physicalSectorBytes,
      table: DiskAction.CREATE,
      ...describeFate(disk, () => false),
    }),
  );
  plan.rootDevice = `disk/${selector}/${index}`;
}
