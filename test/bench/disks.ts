// How long the disks of a fleet take to plan: every preset in turn on machines that are all different.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import { planDisks } from "../../daemon/domain/disk-plan.ts";
import { disk } from "../../daemon/domain/scheme-fixture.ts";
import { type Inventory, InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { decodeManifests } from "../../proto/manifest/decode.ts";

const gib = 1n << 30n;
const presets = path.join(import.meta.dirname, "../../examples/schemes");

export type PlanningFigures = { nodes: number; seconds: number };

/** Plans `nodes` nodes in one thread; the machines are made before the clock starts. */
export function measurePlanning(nodes = 10_000): PlanningFigures {
  const schemes = readPresets();
  const machines = Array.from({ length: nodes }, (_, i) => machine(i));
  const start = performance.now();
  for (const [i, inventory] of machines.entries()) {
    const scheme = schemes[i % schemes.length];
    if (!scheme) throw new Error(`there is no scheme in ${presets}`);
    const result = planDisks(scheme, inventory, { protectedDisks: [`serial-n${i}-sdz`] });
    if (!result.ok) throw new Error(`node ${i}: ${result.faults.map(({ message }) => message).join("; ")}`);
  }
  return { nodes, seconds: (performance.now() - start) / 1000 };
}

function readPresets(): SchemeSpec[] {
  const files = readdirSync(presets).map((name) => path.join(presets, name));
  const read = decodeManifests(files.map((file) => ({ path: file, content: readFileSync(file, "utf8") })));
  return read.documents.flatMap(({ manifest: { kind } }) => (kind.case === "scheme" ? [kind.value] : []));
}

/** Four disks, as the largest preset wants; no two have the same size. Each has an old system on it. */
function machine(index: number): Inventory {
  const disks = ["sda", "sdb", "sdc", "sdd"].map((name, i) => {
    const sizeBytes = (200n + BigInt((index * 7 + i * 13) % 900)) * gib + BigInt(i) * 4096n;
    const part = (number: number, sizeMib: bigint, startMib: bigint) => ({
      name: `${name}${number}`,
      type: "part",
      parent: name,
      partNumber: number,
      startBytes: startMib << 20n,
      sizeBytes: sizeMib << 20n,
    });
    return disk(name, {
      serial: `serial-n${index}-${name}`,
      sizeBytes,
      physicalSectorBytes: 4096,
      tableType: "gpt",
      contents: [
        { ...part(1, 512n, 1n), fsType: "vfat", label: "ESP" },
        { ...part(2, 100_000n, 513n), fsType: "linux_raid_member", label: "any:os" },
        { name: "md127", type: "raid1", parent: `${name}2`, sizeBytes: 99n * gib, fsType: "LVM2_member" },
        {
          name: "vg0-root",
          type: "lvm",
          parent: "md127",
          sizeBytes: 20n * gib,
          fsType: "ext4",
          label: "root",
        },
      ],
    });
  });
  return create(InventorySchema, { memoryBytes: BigInt(8 + (index % 500)) * gib, disks });
}
