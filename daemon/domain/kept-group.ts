// A volume group that is kept: which volumes are in it now, which of them go, and how much room they leave.
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { Lv, SchemeSpec, Vg } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { extentBytes, physicalVolumeRoom } from "./array-size.ts";
import { sizeMismatch } from "./divide.ts";
import { allOf, type Found, volumeName } from "./existing.ts";
import { decideKeep, type Policy } from "./keep-rules.ts";
import { keptRefs } from "./kept-devices.ts";

export type KeptGroup = {
  /** Volumes that are removed before others are made. */
  removes: string[];
  /** What the volumes that stay take of the group, with their copies and metadata. */
  usedBytes: bigint;
  /** Every volume in it, by name, and the nodes of what can be seen. */
  volumes: string[];
  nodes: Found[];
  mismatch: (lv: Lv, actual: bigint) => string | undefined;
};

// Parts of a volume, which are volumes to device-mapper: vg0-root_rimage_0, vg0-pool_tdata.
const part = /_(?:[rm]image|rmeta|mlog|tdata|tmeta|cdata|cmeta|vorigin|pmspare)(?:_\d+)?$|-tpool$/;

/** The group, or why it cannot be kept. */
export function resolveGroup(
  scheme: SchemeSpec,
  vg: Vg,
  pvs: Found[],
  disks: Disk[],
  memory: bigint,
): KeptGroup | string {
  const what = `vg ${vg.name} keeps its data, but`;
  const bad = pvs.find(({ fsType }) => fsType !== "LVM2_member");
  if (bad) return `${what} ${bad.name} is no physical volume: found ${bad.fsType || "nothing known"}`;
  const direct = new Map<string, Found>();
  for (const child of pvs.flatMap(({ children }) => children)) direct.set(child.name, child);
  const foreign = [...direct.values()].find(({ name }) => volumeName(name)?.vg !== vg.name);
  if (foreign) return `${what} ${pvs[0]?.name} holds ${foreign.name}, which is of another group`;
  if (direct.size === 0) {
    return `${what} no volume of it can be seen; activate it (vgchange -ay ${vg.name}) and take the inventory again`;
  }
  const outside = strangers(vg.name, pvs, disks);
  if (outside) return `${what} it also lies on ${outside}, which the scheme does not name`;

  const nodes = [
    ...new Map([...direct.values()].flatMap(allOf).map((node) => [node.name, node])).values(),
  ].filter(({ type, name }) => type === "lvm" && volumeName(name)?.vg === vg.name);
  const volumes = [...new Set(nodes.map(({ name }) => baseName(name)))].sort();
  const wanted = scheme.lvs.filter((lv) => lv.vg === vg.name);
  const kept = keptRefs(scheme);
  const removes: string[] = [];
  const undecided: string[] = [];
  for (const name of volumes) {
    const lv = wanted.find((one) => one.name === name);
    const policy: Policy = lv ? (kept.has(`lv/${vg.name}/${name}`) ? "keep" : "wipe") : said(vg.others);
    const outcome = decideKeep("same", lv !== undefined, policy, true);
    if (outcome === "refuse") undecided.push(name);
    if (outcome === "destroy" || outcome === "replace") removes.push(name);
  }
  if (undecided.length) {
    return `vg ${vg.name} is kept and has volumes that the scheme does not name: ${undecided.join(", ")}; say \`others: keep\` or \`others: wipe\` for it`;
  }
  const usedBytes = [...direct.values()]
    .filter(({ name }) => !removes.includes(baseName(name)))
    .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n);
  const whole = pvs.reduce((sum, { sizeBytes }) => sum + physicalVolumeRoom(sizeBytes, 0n).extentsBytes, 0n);
  const frame = { whole, room: whole, unit: extentBytes, memory };
  return { removes, usedBytes, volumes, nodes, mismatch: (lv, actual) => sizeMismatch(lv, actual, frame) };
}

function said(others: string): Policy {
  return others === "keep" || others === "wipe" ? others : "unsaid";
}

function baseName(mapperName: string): string {
  return (volumeName(mapperName)?.lv ?? mapperName).replace(part, "");
}

/** A disk or partition outside of these that has volumes of the group. */
function strangers(vg: string, pvs: Found[], disks: Disk[]): string | undefined {
  const own = new Set(pvs.flatMap(allOf).map(({ name }) => name));
  for (const disk of disks) {
    const stray = disk.contents.find(
      ({ type, name, parent }) =>
        type === "lvm" && volumeName(name)?.vg === vg && !own.has(parent) && !volumeName(parent),
    );
    if (stray) return `${stray.parent} of ${disk.name}`;
  }
  return undefined;
}
