// Every scheme of examples/schemes on a machine that it is for.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { decodeManifests, formatFault } from "../../proto/manifest/decode.ts";
import { planDisks } from "./disk-plan.ts";
import { disk } from "./scheme-fixture.ts";
import { gib, mib } from "./size.ts";

const folder = join(import.meta.dirname, "../../examples/schemes");

function planPreset(name: string, disks: number, memoryBytes = 16n * gib): DiskPlan {
  const file = `${name}.yaml`;
  const { documents, faults } = decodeManifests([
    { path: file, content: readFileSync(join(folder, file), "utf8") },
  ]);
  expect(faults.map(formatFault)).toEqual([]);
  const spec = documents[0]?.manifest.kind;
  if (spec?.case !== "scheme") throw new Error(`${file} is no scheme`);
  const names = ["vda", "vdb", "vdc", "vdd"].slice(0, disks);
  const inventory = create(InventorySchema, {
    memoryBytes,
    disks: names.map((one) => disk(one, { sizeBytes: 100n * gib })),
  });
  const result = planDisks(spec.value, inventory, { protectedDisks: [] });
  if (!result.ok) throw new Error(result.faults.map(({ message }) => message).join("\n"));
  return result.plan;
}

const sizes = (devices: { name: string; sizeBytes: bigint }[]) =>
  devices.map(({ name, sizeBytes }) => [name, Number(sizeBytes / mib)]);

describe("a preset", () => {
  it("is planned here, every one", () => {
    expect(readdirSync(folder).sort()).toEqual([
      "flat.yaml",
      "lvm.yaml",
      "raid1-lvm.yaml",
      "raid1.yaml",
      "raid10.yaml",
      "whole-disk.yaml",
    ]);
  });

  it("flat: swap by memory", () => {
    expect(sizes(planPreset("flat", 1).disks[0]?.partitions ?? [])).toEqual([
      ["bios", 1],
      ["esp", 512],
      ["swap", 4096],
      ["root", 97789],
    ]);
    const swap = (memory: bigint) => planPreset("flat", 1, memory).disks[0]?.partitions[2]?.sizeBytes;
    expect(swap(gib)).toBe(2n * gib);
    expect(swap(6n * gib)).toBe(6n * gib);
    expect(swap(256n * gib)).toBe(8n * gib);
  });

  it("lvm: shares of the group, with bounds", () => {
    const plan = planPreset("lvm", 1);
    expect(sizes(plan.lvs)).toEqual([
      ["root", 40752],
      ["var", 30564],
      ["swap", 1024],
    ]);
    expect(plan.kernelRoot).toBe("/dev/mapper/system-root");
  });

  it("raid1: two boot disks, the ESP on both", () => {
    const plan = planPreset("raid1", 2);
    expect(plan.disks.map(({ bootloader }) => bootloader)).toEqual([true, true]);
    expect(plan.fss[1]?.copies).toEqual(["partition/system/1/esp"]);
    expect(plan.rootDevice).toBe("md/root");
  });

  it("raid1-lvm: volumes on the mirror", () => {
    const plan = planPreset("raid1-lvm", 2);
    expect(sizes(plan.lvs).map(([name]) => name)).toEqual(["root", "swap", "srv"]);
    expect(plan.vgs[0]?.devices).toEqual(["md/os"]);
  });

  it("whole-disk: one disk, and nothing else", () => {
    const plan = planPreset("whole-disk", 1);
    expect(plan.rootDevice).toBe("disk/system/0");
    expect(plan.disks.map(({ serial, partitions }) => [serial, partitions])).toEqual([["serial-vda", []]]);
  });

  it("raid10: twice the room of one disk for data", () => {
    const plan = planPreset("raid10", 4);
    const [root, data] = plan.mds;
    expect([root?.level, data?.level]).toEqual([1, 10]);
    expect(data?.sizeBytes).toBe(2n * (data?.componentBytes ?? 0n));
  });
});
