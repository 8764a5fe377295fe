// A machine on which the mirror of the scheme fixture was made, and what is planned for it the next time.
import { create } from "@bufbuild/protobuf";
import { DiskAction, type DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { type Inventory, InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { applied } from "./applied-fixture.ts";
import { planDisks } from "./disk-plan.ts";
import { disk, machine, mirror } from "./scheme-fixture.ts";

export const word = (action: DiskAction) => (action === DiskAction.KEEP ? "KEEP" : "CREATE");

export const two = machine(disk("vda"), disk("vdb"));

export function planned(scheme: SchemeSpec, inventory: Inventory): DiskPlan {
  const result = planDisks(scheme, inventory, { protectedDisks: [] });
  if (!result.ok) throw new Error(result.faults.map(({ message }) => message).join("\n"));
  return result.plan;
}

export function refusals(scheme: SchemeSpec, inventory: Inventory): string[] {
  const result = planDisks(scheme, inventory, { protectedDisks: [] });
  return result.ok ? [] : result.faults.map(({ message }) => message);
}

/** The mirror, with its data to be kept. */
export const keeping = (change: (scheme: SchemeSpec) => void = () => {}) =>
  mirror((scheme) => {
    for (const fs of scheme.fss) if (fs.mount === "/srv") fs.keepData = true;
    change(scheme);
  });

/** The machine after the mirror was made on it. */
export const used = applied(planned(mirror(), two), two);

/** The same machine, with something about its first disk changed. */
export function altered(change: (contents: Inventory["disks"][number]) => void): Inventory {
  const copy = create(InventorySchema, structuredClone(used));
  for (const one of copy.disks.slice(0, 1)) change(one);
  return copy;
}
