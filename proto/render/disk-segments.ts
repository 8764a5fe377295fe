// A disk before and after a plan, as what lies side by side on it: the one source of every picture of it.
import { DiskAction, type DiskPlan, type PlannedDisk } from "../gen/muster/v1/disk_plan_pb.ts";
import { wholeDiskOf } from "../plan/whole-disk.ts";
import { clean } from "./clean.ts";

/** What becomes of a piece of a disk, or where it comes from. */
export type Fate = "free" | "kept" | "destroyed" | "new";
export type Segment = { label: string; start: bigint; size: bigint; fate: Fate };
export type DiskPicture = { title: string; size: bigint; before: Segment[]; after: Segment[] };

export function pictureOf(plan: DiskPlan, disk: PlannedDisk): DiskPicture {
  const sector = BigInt(disk.logicalSectorBytes || 512);
  const before = disk.before.map(
    ({ name, description, startBytes, sizeBytes, kept }): Segment => ({
      label: clean([name, description].filter(Boolean).join(" ")),
      start: startBytes,
      size: sizeBytes,
      fate: kept ? "kept" : "destroyed",
    }),
  );
  const image: Segment[] =
    wholeDiskOf(plan) === disk
      ? [{ label: "image of the whole disk", start: 0n, size: disk.sizeBytes, fate: "new" }]
      : [];
  const after = disk.partitions
    .filter(({ kind }) => kind !== "extended")
    .map(
      (part): Segment => ({
        label: [part.name, useOf(plan, `partition/${disk.selector}/${disk.index}/${part.name}`)]
          .filter(Boolean)
          .join(" "),
        start: part.firstLba * sector,
        size: part.sizeBytes,
        fate: part.action === DiskAction.KEEP ? "kept" : "new",
      }),
    );
  // What stays and is in no scheme is there afterwards too.
  const others = before.filter(
    ({ fate, start }) => fate === "kept" && !after.some((segment) => segment.start === start),
  );
  const whole = disk.before.length === 0 && disk.destroys.some((line) => !line.startsWith("nothing"));
  const found: Segment[] = whole
    ? [{ label: clean(disk.destroys.join("; ")), start: 0n, size: disk.sizeBytes, fate: "destroyed" }]
    : before;
  return {
    title: diskTitle(disk),
    size: disk.sizeBytes,
    before: withGaps(found, disk.sizeBytes),
    after: withGaps([...image, ...after, ...others], disk.sizeBytes),
  };
}

/** "os/0, serial S1, now vda" */
function diskTitle({ selector, index, serial, wwn, model, lastName }: PlannedDisk): string {
  const id = serial ? `serial ${serial}` : `wwn ${wwn}`;
  return clean([`${selector}/${index}`, id, model, lastName && `now ${lastName}`].filter(Boolean).join(", "));
}

/** What is directly on a device: "ext4 /", "md os", "vg vg0". */
function useOf(plan: DiskPlan, device: string): string {
  const md = plan.mds.find(({ devices, spares }) => devices.includes(device) || spares.includes(device));
  if (md) return `RAID${md.level} ${md.name}${md.spares.includes(device) ? " spare" : ""}`;
  const luks = plan.luks.find((one) => one.device === device);
  if (luks) return `LUKS ${luks.name}`;
  const vg = plan.vgs.find(({ devices }) => devices.includes(device));
  if (vg) return `LVM ${vg.name}`;
  const fs = plan.fss.find((one) => one.device === device || one.copies.includes(device));
  return fs ? [fs.type, fs.mount].filter(Boolean).join(" ") : "";
}

// The room that no partition has, left out where it is only the alignment.
function withGaps(segments: Segment[], size: bigint): Segment[] {
  const sorted = [...segments].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const all: Segment[] = [];
  let next = 0n;
  const gap = (end: bigint) => {
    if (end - next > 4n << 20n) all.push({ label: "free", start: next, size: end - next, fate: "free" });
  };
  for (const segment of sorted) {
    gap(segment.start);
    all.push(segment);
    // An extended partition lies around others.
    const end = segment.start + segment.size;
    if (end > next) next = end;
  }
  gap(size);
  return all;
}
