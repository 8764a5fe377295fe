// Everything of a plan that one of its devices lies on.
import type { DiskPlan, PlannedLuks, PlannedLv, PlannedMd } from "../../proto/gen/muster/v1/disk_plan_pb.ts";

export type Layers = { mds: PlannedMd[]; lvs: PlannedLv[]; luks: PlannedLuks[]; partitions: string[] };

export function layersBelow(plan: DiskPlan, device: string): Layers {
  const layers: Layers = { mds: [], lvs: [], luks: [], partitions: [] };
  const seen = new Set<string>();
  const waiting = [device];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const [kind, first, second] = name.split("/");
    if (kind === "partition") layers.partitions.push(name);
    for (const md of plan.mds.filter((one) => kind === "md" && one.name === first)) {
      layers.mds.push(md);
      waiting.push(...md.devices);
    }
    for (const luks of plan.luks.filter((one) => kind === "luks" && one.name === first)) {
      layers.luks.push(luks);
      waiting.push(luks.device);
    }
    for (const lv of plan.lvs.filter((one) => kind === "lv" && one.vg === first && one.name === second)) {
      layers.lvs.push(lv);
      waiting.push(...(plan.vgs.find(({ name: vg }) => vg === lv.vg)?.devices ?? []));
    }
  }
  return layers;
}
