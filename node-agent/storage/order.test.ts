// What is made after what, and what is not to be made at all.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { layersBelow } from "./below.ts";
import { type Layer, orderLayers } from "./order.ts";

const plan = create(DiskPlanSchema, {
  disks: [{ selector: "os", index: 0, partitions: [{ name: "a" }, { name: "b" }] }],
  mds: [{ name: "os", devices: ["partition/os/0/a", "partition/os/0/b"] }],
  luks: [
    { name: "inner", device: "lv/vg0/secret" },
    { name: "outer", device: "md/os" },
  ],
  vgs: [
    { name: "vg1", devices: ["luks/inner"] },
    { name: "vg0", devices: ["luks/outer"] },
  ],
  lvs: [
    { name: "data", vg: "vg1" },
    { name: "pool", vg: "vg0", type: "thin_pool" },
    { name: "secret", vg: "vg0", type: "thin", pool: "pool" },
  ],
});

const nameOf = (layer: Layer): string => {
  switch (layer.kind) {
    case "md":
      return `md/${layer.md.name}`;
    case "luks":
      return `luks/${layer.luks.name}`;
    case "vg":
      return `vg/${layer.vg.name}`;
    case "lv":
      return `lv/${layer.lv.vg}/${layer.lv.name}`;
  }
};

test("each layer comes after what it lies on", () => {
  expect(orderLayers(plan).map(nameOf)).toEqual([
    "md/os",
    "luks/outer",
    "vg/vg0",
    "lv/vg0/pool",
    "lv/vg0/secret",
    "luks/inner",
    "vg/vg1",
    "lv/vg1/data",
  ]);
});

test("what lies on nothing that the plan has is refused", () => {
  const broken = create(DiskPlanSchema, { mds: [{ name: "os", devices: ["partition/os/0/a"] }] });
  expect(() => orderLayers(broken)).toThrow("the plan has md/os on partition/os/0/a, which it does not make");
  const circle = create(DiskPlanSchema, {
    luks: [{ name: "a", device: "lv/vg0/a" }],
    vgs: [{ name: "vg0", devices: ["luks/a"] }],
    lvs: [{ name: "a", vg: "vg0" }],
  });
  expect(() => orderLayers(circle)).toThrow("the plan has luks/a on lv/vg0/a");
});

test("everything below a device", () => {
  const below = layersBelow(plan, "lv/vg1/data");
  expect(below.luks.map(({ name }) => name)).toEqual(["inner", "outer"]);
  expect(below.lvs.map(({ name }) => name)).toEqual(["data", "secret"]);
  expect(below.mds.map(({ name }) => name)).toEqual(["os"]);
  expect(below.partitions.sort()).toEqual(["partition/os/0/a", "partition/os/0/b"]);
  expect(layersBelow(plan, "partition/os/0/a")).toMatchObject({ mds: [], lvs: [], luks: [] });
});
