// Chooses the disks of a scheme from an inventory. Never guesses: exactly as many disks as are wanted must
// match, each must be told apart from every other, and what must not be touched is no candidate.
import type { Disk } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { DiskSelector } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { describeHints, matchDisk } from "./hints.ts";
import { formatBytes } from "./size.ts";

export type ChosenDisk = { selector: string; index: number; disk: Disk };
export type Choice = { ok: true; disks: ChosenDisk[] } | { ok: false; messages: string[] };

export function chooseDisks(selectors: DiskSelector[], inventory: Disk[], protectedDisks: string[]): Choice {
  const messages: string[] = [];
  const disks: ChosenDisk[] = [];
  const known = [...inventory].sort(bySerial);
  for (const selector of selectors) {
    const matched: Disk[] = [];
    const reasons = known.map((disk) => {
      const why = whyNot(selector, disk, protectedDisks);
      if (why === undefined) matched.push(disk);
      return `  ${describeDisk(disk)}: ${why ?? "matches"}`;
    });
    const wanted = selector.count || 1;
    if (matched.length === wanted) {
      disks.push(...matched.map((disk, index) => ({ selector: selector.id, index, disk })));
    } else messages.push(countFault(selector, wanted, matched.length, reasons));
  }
  messages.push(...disks.flatMap((chosen, index) => identityFaults(chosen, disks.slice(0, index), known)));
  return messages.length ? { ok: false, messages } : { ok: true, disks };
}

/** "vda (QEMU HARDDISK, serial os0, 10 GiB)" */
export function describeDisk(disk: Disk): string {
  const serial = disk.serial ? `serial ${disk.serial}` : disk.wwn ? `wwn ${disk.wwn}` : "no serial";
  return `${disk.name || "disk"} (${[disk.model, serial, formatBytes(disk.sizeBytes)].filter(Boolean).join(", ")})`;
}

function whyNot(selector: DiskSelector, disk: Disk, protectedDisks: string[]): string | undefined {
  const shields = protectedDisks.map((id) => id.trim().toLowerCase());
  if ([disk.serial, disk.wwn].some((id) => id && shields.includes(id.toLowerCase()))) return "is protected";
  if (disk.removable) return "is removable";
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
