// Which devices of a scheme keep their data: those that say so, and everything that they lie on.
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";

/** What each device of a scheme lies on, in the scheme's words; a volume group is `vg/NAME`. */
export function foundationOf(scheme: SchemeSpec, ref: string): string[] {
  const [kind, first, second] = ref.split("/");
  switch (kind) {
    case "md": {
      const md = scheme.mds.find(({ name }) => name === first);
      return md ? [...md.devices, ...md.spares] : [];
    }
    case "vg":
      return scheme.vgs.find(({ name }) => name === first)?.devices ?? [];
    case "luks":
      return scheme.luks.filter(({ name }) => name === first).map(({ device }) => device);
    case "lv": {
      const lv = scheme.lvs.find(({ vg, name }) => vg === first && name === second);
      if (!lv) return [];
      return lv.type === "thin" ? [`vg/${lv.vg}`, `lv/${lv.vg}/${lv.pool}`] : [`vg/${lv.vg}`];
    }
    default:
      return [];
  }
}

/** The devices that say themselves that they keep their data. */
export function keepRequests(scheme: SchemeSpec): string[] {
  return [
    ...scheme.fss.filter(({ keepData }) => keepData).map(({ device }) => device),
    ...scheme.lvs.filter(({ keepData }) => keepData).map(({ vg, name }) => `lv/${vg}/${name}`),
    ...scheme.vgs.filter(({ keepData }) => keepData).map(({ name }) => `vg/${name}`),
    ...scheme.luks.filter(({ keepData }) => keepData).map(({ name }) => `luks/${name}`),
    ...scheme.mds.filter(({ keepData }) => keepData).map(({ name }) => `md/${name}`),
    ...scheme.parteds.flatMap(({ partitions }) =>
      partitions.filter(({ keepData }) => keepData).map(({ name }) => `partition/${name}`),
    ),
  ];
}

/** A device and all that it lies on, itself first. */
export function withFoundations(scheme: SchemeSpec, ref: string, seen = new Set<string>()): Set<string> {
  if (seen.has(ref)) return seen;
  seen.add(ref);
  for (const below of foundationOf(scheme, ref)) withFoundations(scheme, below, seen);
  return seen;
}

/** Every device that keeps its data if nothing is new. */
export function keptRefs(scheme: SchemeSpec): Set<string> {
  const kept = new Set<string>();
  for (const ref of keepRequests(scheme)) withFoundations(scheme, ref, kept);
  return kept;
}
