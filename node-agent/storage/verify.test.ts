// What is said of a layout.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { describeIdentifiers, describeStorage } from "./verify.ts";

test("a layout in one line", () => {
  const partitions = [{ name: "bios" }, { name: "esp" }, { name: "os" }];
  const plan = create(DiskPlanSchema, {
    disks: [{ partitions }, { partitions }],
    mds: [{ name: "os", level: 1, devices: ["a", "b"] }],
    vgs: [{ name: "vg0" }],
    lvs: [
      { name: "root", vg: "vg0", sizeBytes: 3n << 30n },
      { name: "swap", vg: "vg0", sizeBytes: 256n << 20n },
    ],
  });
  expect(describeStorage(plan, { arrays: ["[UU]"] })).toBe(
    "2 disks: gpt bios+esp+os; md os raid1 [UU]; vg0: root 3 GiB, swap 256 MiB",
  );
});

test("identifiers in one line", () => {
  expect(describeIdentifiers({ uuids: [["md/os", "12:34"]] })).toBe("UUIDs: md/os 12:34");
  expect(describeIdentifiers({ uuids: [] })).toBe("UUIDs: none");
});
