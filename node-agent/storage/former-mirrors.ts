// Mirrors that lie on the disks where the plan puts mirrors again. Their members are equal as they are: neither has
// to be emptied, so what an image has brought before is found again, and only what has changed of it is moved.
import { DiskAction, type DiskPlan, type PlannedMd } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { deviceOfDisk, partitionPath } from "./devices.ts";
import { diskKey, type MachineDisk } from "./disks.ts";
import { partitionName, samePlace } from "./table-changes.ts";
import { readTable } from "./tables.ts";
import type { StorageContext } from "./wait.ts";

/** Names of the plan's arrays that take the place of a mirror whose members are equal. To be asked before the wipe. */
export async function formerMirrors(
  plan: DiskPlan,
  disks: ReadonlyMap<string, MachineDisk>,
  context: StorageContext,
): Promise<Set<string>> {
  const found = new Set<string>();
  const mirrors = plan.mds.filter(({ level, action }) => level === 1 && action !== DiskAction.KEEP);
  if (mirrors.length === 0) return found;
  const places = await samePartitions(plan, disks, context);
  const { run, signal } = context;
  for (const md of mirrors) {
    const paths = md.devices.flatMap((device) => places.get(device) ?? []);
    if (paths.length < md.devices.length) continue;
    const reports: string[] = [];
    // Code 1: it is no member of an array.
    for (const path of paths)
      reports.push((await run(["mdadm", "--examine", path], { signal, okCodes: [0, 1] })).stdout);
    if (areEqual(reports, md)) found.add(md.name);
  }
  return found;
}

/** The nodes of the plan's partitions that are where they will be. */
async function samePartitions(
  plan: DiskPlan,
  disks: ReadonlyMap<string, MachineDisk>,
  context: StorageContext,
): Promise<Map<string, string>> {
  const places = new Map<string, string>();
  for (const planned of plan.disks) {
    const { path } = deviceOfDisk(disks, diskKey(planned));
    const table = await readTable(path, context);
    for (const partition of planned.partitions) {
      const former = table?.partitions.find(({ number }) => number === partition.number);
      if (former && samePlace(former, partition))
        places.set(partitionName(planned, partition), partitionPath(path, former.number));
    }
  }
  return places;
}

/** By `mdadm --examine` of each member. What was interrupted, rebuilt or not written to all members is not. */
export function areEqual(reports: string[], md: PlannedMd): boolean {
  const members = reports.map((report) => {
    const field = (name: string) => new RegExp(`^\\s*${name} : (.*)$`, "m").exec(report)?.[1]?.trim() ?? "";
    const isWhole =
      field("Raid Level") === "raid1" &&
      field("Version") === (md.metadata || "1.2") &&
      field("State") === "clean" &&
      field("Raid Devices") === String(md.devices.length) &&
      field("Array State").startsWith(`${"A".repeat(md.devices.length)} `) &&
      field("Recovery Offset") === "";
    return isWhole ? `${field("Array UUID")} ${field("Events")}` : "";
  });
  return members.length > 0 && members[0] !== "" && new Set(members).size === 1;
}
