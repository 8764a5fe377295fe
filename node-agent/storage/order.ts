// The order in which arrays, encrypted devices, volume groups and volumes are made and started: each after what
// it lies on, whatever lies on what.
import type {
  DiskPlan,
  PlannedLuks,
  PlannedLv,
  PlannedMd,
  PlannedVg,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";

export type Layer =
  | { kind: "md"; md: PlannedMd }
  | { kind: "luks"; luks: PlannedLuks }
  | { kind: "vg"; vg: PlannedVg }
  | { kind: "lv"; lv: PlannedLv };

type Part = { layer: Layer; name: string; needs: string[] };

export function orderLayers(plan: DiskPlan): Layer[] {
  const made = new Set(
    plan.disks.flatMap(({ selector, index, partitions }) =>
      partitions.map(({ name }) => `partition/${selector}/${index}/${name}`),
    ),
  );
  let waiting = partsOf(plan);
  const order: Layer[] = [];
  while (waiting.length > 0) {
    const ready = waiting.find(({ needs }) => needs.every((need) => made.has(need)));
    if (!ready) {
      const [{ name, needs }] = waiting as [Part];
      const absent = needs.filter((need) => !made.has(need)).join(", ");
      throw new Error(`the plan has ${name} on ${absent}, which it does not make before it. Plan again.`);
    }
    order.push(ready.layer);
    made.add(ready.name);
    waiting = waiting.filter((part) => part !== ready);
  }
  return order;
}

function partsOf({ mds, luks, vgs, lvs }: DiskPlan): Part[] {
  return [
    ...mds.map((md): Part => {
      return { layer: { kind: "md", md }, name: `md/${md.name}`, needs: [...md.devices, ...md.spares] };
    }),
    ...luks.map((one): Part => {
      return { layer: { kind: "luks", luks: one }, name: `luks/${one.name}`, needs: [one.device] };
    }),
    ...vgs.map((vg): Part => {
      return { layer: { kind: "vg", vg }, name: `vg/${vg.name}`, needs: vg.devices };
    }),
    ...lvs.map((lv): Part => {
      const pool = lv.pool ? [`lv/${lv.vg}/${lv.pool}`] : [];
      return { layer: { kind: "lv", lv }, name: `lv/${lv.vg}/${lv.name}`, needs: [`vg/${lv.vg}`, ...pool] };
    }),
  ];
}
