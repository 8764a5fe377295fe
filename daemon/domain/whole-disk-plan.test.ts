// The disk of an image of a whole disk is chosen with the same care as others, and all that is on it is named as lost.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { DiskAction } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { SchemeSpecSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { wholeDiskOf } from "../../proto/plan/whole-disk.ts";
import { planDisks } from "./disk-plan.ts";
import { disk, machine } from "./scheme-fixture.ts";
import { mib } from "./size.ts";

const scheme = create(SchemeSpecSchema, {
  name: "whole",
  disks: [{ id: "os", hints: { tran: "virtio" } }],
  wholeDisk: "os",
});

function plan(disks: Disk[], protectedDisks: string[] = []) {
  const result = planDisks(scheme, machine(...disks), { protectedDisks });
  return result.ok ? result.plan : result.faults.map(({ message }) => message).join("\n");
}

/** With a partition, and on it a part of an array. */
const used = (name: string) =>
  disk(name, {
    tableType: "gpt",
    contents: [
      { name: `${name}1`, type: "part", parent: name, partNumber: 1, startBytes: mib, sizeBytes: 512n * mib },
      { name: "md0", type: "raid1", parent: `${name}1`, sizeBytes: 511n * mib, fsType: "ext4" },
    ],
  });

describe("an image of a whole disk", () => {
  it("goes onto the disk, which loses everything", () => {
    const planned = plan([used("vda"), disk("sda", { tran: "sata" })]);
    if (typeof planned === "string") throw new Error(planned);
    expect(planned).toMatchObject({
      rootDevice: "disk/os/0",
      kernelRoot: "",
      fss: [],
      systems: [],
      warnings: [],
    });
    expect(planned.disks).toHaveLength(1);
    expect(planned.disks[0]).toMatchObject({
      serial: "serial-vda",
      lastName: "vda",
      table: DiskAction.CREATE,
      bootloader: false,
      partitions: [],
      destroys: ["partition vda1, 512 MiB", "RAID 1 md0, 511 MiB, ext4"],
      keeps: [],
      before: [{ name: "vda1", kept: false }],
    });
    expect(wholeDiskOf(planned)).toBe(planned.disks[0]);
  });

  it("needs exactly one, which may be used", () => {
    expect(plan([disk("vda"), disk("vdb")])).toContain("needs 1 of this machine's disks, and 2 match");
    expect(plan([disk("vda")], ["SERIAL-vda"])).toContain(
      "vda (QEMU, serial serial-vda, 10 GiB): is protected",
    );
    expect(plan([disk("vda", { serial: "" })])).toContain("has neither a serial nor a wwn");
  });

  it("takes no array apart that a protected disk has a part of", () => {
    const beside = disk("sdb", {
      tran: "sata",
      contents: [{ name: "md0", type: "raid1", parent: "sdb", sizeBytes: 511n * mib }],
    });
    expect(plan([used("vda"), beside], ["serial-sdb"])).toContain(
      "which is protected, and would be destroyed",
    );
    expect(plan([used("vda"), beside])).toMatchObject({
      warnings: [expect.stringContaining("what is there becomes incomplete")],
    });
  });
});
