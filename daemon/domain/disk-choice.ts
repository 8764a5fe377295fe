// Chooses the disks of a scheme from an inventory. Never guesses: exactly as many disks as are wanted must
// match, each must be told apart from every other, and what must not be touched is no candidate.
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { DiskSelector } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { isMarked } from "../../proto/plan/disk-mark.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import { describeHints, matchDisk } from "./hints.ts";

export type ChosenDisk = { selector: string; index: number; disk: Disk };
type Choice = { ok: true; disks: ChosenDisk[]; warnings: string[] } | { ok: false; messages: string[] };

export function chooseDisks(selectors: DiskSelector[], inventory: Disk[], protectedDisks: string[]): Choice {
  const messages: string[] = [];
  const warnings: string[] = [];
  const disks: ChosenDisk[] = [];
  const known = [...inventory].sort(bySerial);
  for (const selector of selectors) {
    const verdicts = known.map((disk) => ({ disk, why: whyNot(selector, disk, protectedDisks) }));
    const matched = verdicts.filter(({ why }) => why === undefined).map(({ disk }) => disk);
    const wanted = selector.count || 1;
    const picked =
      matched.length > wanted && selector.prefer ? preferred(selector, matched, wanted) : matched;
    if (typeof picked === "string") messages.push(picked);
    else if (picked.length === wanted) {
      disks.push(...picked.map((disk, index) => ({ selector: selector.id, index, disk })));
      if (selector.hints.name?.includes("/dev/") && !selector.hints.name.includes("/dev/disk/")) {
        warnings.push(
          `disks ${selector.id} is chosen by the kernel's name, which changes between boots: ${picked.map(describeDisk).join(", ")}; choose by serial, wwn, by_path, hctl, model or size`,
        );
      }
    } else {
      const reasons = verdicts.map(({ disk, why }) => `  ${describeDisk(disk)}: ${why ?? "matches"}`);
      messages.push(countFault(selector, wanted, matched.length, reasons));
    }
  }
  messages.push(...disks.flatMap((chosen, index) => identityFaults(chosen, disks.slice(0, index), known)));
  return messages.length ? { ok: false, messages } : { ok: true, disks, warnings };
}

/** The largest or the smallest of those that match; a message where two of the same size are at the border. */
function preferred(selector: DiskSelector, matched: Disk[], wanted: number): Disk[] | string {
  const sign = selector.prefer === "smallest" ? 1 : -1;
  const ranked = [...matched].sort(
    (a, b) => sign * (a.sizeBytes < b.sizeBytes ? -1 : a.sizeBytes > b.sizeBytes ? 1 : 0),
  );
  const [last, next] = [ranked[wanted - 1], ranked[wanted]];
  if (last && next && last.sizeBytes === next.sizeBytes) {
    const tied = ranked
      .filter(({ sizeBytes }) => sizeBytes === last.sizeBytes)
      .map((disk) => `  ${describeDisk(disk)}`);
    return [
      `disks ${selector.id} (${describeHints(selector.hints)}) needs the ${wanted > 1 ? `${wanted} ` : ""}${selector.prefer}, and these have the same size; make the hints narrower, for example by serial, wwn or by_path:`,
      ...tied,
    ].join("\n");
  }
  const picked = new Set(ranked.slice(0, wanted));
  return matched.filter((disk) => picked.has(disk));
}

/** "vda (QEMU HARDDISK, serial os0, 10 GiB)" */
export function describeDisk(disk: Disk): string {
  const serial = disk.serial ? `serial ${disk.serial}` : disk.wwn ? `wwn ${disk.wwn}` : "no serial";
  return `${disk.name || "disk"} (${[disk.model, serial, formatBytes(disk.sizeBytes)].filter(Boolean).join(", ")})`;
}

const defaultExclusions = ["removable", "usb", "multipath"];

function whyNot(selector: DiskSelector, disk: Disk, protectedDisks: string[]): string | undefined {
  if (isMarked(disk, protectedDisks)) return "is protected";
  if (disk.liveMedium) return "is what the running live system reads from";
  const excluded = selector.exclude.length ? selector.exclude : defaultExclusions;
  if (disk.removable && excluded.includes("removable")) return "is removable";
  if (disk.tran === "usb" && excluded.includes("usb")) return "is a USB disk";
  if (disk.multipathMember && excluded.includes("multipath")) return "is a path of a multipath disk";
  if (disk.bootMedium && excluded.includes("boot_medium"))
    return "is what the running system was booted from";
  if (disk.readOnly) return "is read-only";
  if (disk.sizeBytes === 0n) return "has no medium";
  const match = matchDisk(selector.hints, disk);
  return match.ok ? undefined : match.why;
}

function countFault(selector: DiskSelector, wanted: number, found: number, reasons: string[]): string {
  const remedy =
    found > wanted
      ? "make the hints narrower, for example by serial, wwn or by_path, or raise count"
      : "make the hints wider, lower count, or check the machine";
  const count = found === 0 ? "none matches" : found === 1 ? "only 1 matches" : `${found} match`;
  return [
    `disks ${selector.id} (${describeHints(selector.hints)}) needs ${wanted} of this machine's disks, and ${count}; ${remedy}. Its disks:`,
    ...(reasons.length ? reasons : ["  none"]),
  ].join("\n");
}

function identityFaults({ selector, disk }: ChosenDisk, earlier: ChosenDisk[], known: Disk[]): string[] {
  const described = describeDisk(disk);
  const rival = earlier.find((other) => other.disk === disk);
  if (rival) {
    return [
      `disks ${selector} and ${rival.selector} both match ${described}; make the hints of one of them narrower`,
    ];
  }
  if (!disk.serial && !disk.wwn) {
    return [
      `disks ${selector}: ${described} has neither a serial nor a wwn, so it cannot be told apart after a reboot; use another disk, or give it one`,
    ];
  }
  const twin = known.find(
    (other) => other !== disk && (same(disk.serial, other.serial) || same(disk.wwn, other.wwn)),
  );
  if (!twin) return [];
  const shared = same(disk.serial, twin.serial) ? `serial ${disk.serial}` : `wwn ${disk.wwn}`;
  return [
    `disks ${selector}: ${described} and ${describeDisk(twin)} have the same ${shared}, so they cannot be told apart; give each its own`,
  ];
}

function same(a: string, b: string): boolean {
  return a !== "" && a.toLowerCase() === b.toLowerCase();
}

// By serial, so that the same disks have the same index whatever the kernel called them this time.
function bySerial(a: Disk, b: Disk): number {
  return order(a.serial, b.serial) || order(a.wwn, b.wwn) || order(a.name, b.name);
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
