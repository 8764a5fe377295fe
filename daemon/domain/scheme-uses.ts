// Whether the devices of a scheme are used as they can be: each exists, has one user, and has the flag and the
// number of members that its user needs.
import type { Partition, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import { type Label, typeFlagsOf } from "./partition-types.ts";
import type { Report } from "./scheme-check.ts";
import {
  allPartitionRefs,
  devicesOf,
  flagFor,
  luksRefs,
  lvRefs,
  mdRefs,
  partitionOfRef,
  type Use,
  usesOf,
} from "./scheme-devices.ts";

const leastMembers: Record<number, number> = { 0: 2, 1: 2, 4: 3, 5: 3, 6: 4, 10: 2 };

export function checkUses(scheme: SchemeSpec, report: Report): void {
  const uses = usesOf(scheme);
  checkReferences(scheme, uses, report);
  scheme.parteds.forEach(({ partitions, label }, i) => {
    partitions.forEach((partition, j) => {
      const path = `parteds[${i}].partitions[${j}].flags`;
      checkFlags(scheme, partition, label === "msdos" ? "msdos" : "gpt", uses, path, report);
    });
  });
  checkMembers(scheme, report);
  checkLoops(scheme, uses, report);
}

function checkReferences(scheme: SchemeSpec, uses: Use[], report: Report): void {
  const partitions = allPartitionRefs(scheme);
  const pools = scheme.lvs
    .filter(({ type }) => type === "thin_pool")
    .map(({ vg, name }) => `lv/${vg}/${name}`);
  const volumes = lvRefs(scheme).filter((ref) => !pools.includes(ref));
  const known = {
    md: partitions,
    luks: [...partitions, ...mdRefs(scheme), ...volumes],
    vg: [...partitions, ...mdRefs(scheme), ...luksRefs(scheme)],
    fs: [...partitions, ...mdRefs(scheme), ...volumes, ...luksRefs(scheme)],
  };
  // A near miss is looked for among the plain names only.
  const plain = (refs: string[]) => refs.filter((ref) => !/^partition\/.*\//.test(ref));
  uses.forEach(({ path, device, by, owner }, i) => {
    if (!known[by].includes(device)) {
      const exists = [...known.fs, ...pools].includes(device);
      const wrong = exists ? `\`${device}\` cannot be used here` : `there is no device \`${device}\``;
      report(path, `${wrong}${hintFor(device, plain(known[by]))}`);
      return;
    }
    const other = uses
      .slice(0, i)
      .find((use) => overlap(use.device, device) && known[use.by].includes(use.device));
    if (other)
      report(
        path,
        `\`${device}\` is already used by ${other.owner} (${other.path}); it cannot be in ${owner} too`,
      );
  });
  scheme.pvs.forEach(({ device }, i) => {
    if (!scheme.vgs.some(({ devices }) => devices.some((one) => overlap(one, device))))
      report(`pvs[${i}].device`, `no volume group has \`${device}\`; name it in one, or remove this`);
  });
}

/** partition/os is also each partition/os/INDEX. */
function overlap(a: string, b: string): boolean {
  if (a === b) return true;
  const whole = partitionOfRef(a) !== "" && partitionOfRef(a) === partitionOfRef(b);
  return whole && (a.startsWith(`${b}/`) || b.startsWith(`${a}/`));
}

function checkFlags(
  scheme: SchemeSpec,
  partition: Partition,
  label: Label,
  uses: Use[],
  path: string,
  report: Report,
): void {
  const { name, flags, guid } = partition;
  const types = typeFlagsOf(partition, label);
  if (types.length > 1) {
    report(path, `a partition has one type, so only one of ${types.join(", ")}`);
    return;
  }
  if (guid && types.length) report(path, `the guid is the type already; remove ${types.join(", ")}`);
  if (label === "msdos" && flags.includes("bios_grub"))
    report(path, "bios_grub is for a GPT; in an msdos table GRUB lies before the first partition: remove it");
  if (label === "msdos" && flags.includes("legacy_boot"))
    report(path, "legacy_boot is an attribute of a GPT; with msdos use boot");
  const [flag] = types;
  const use = uses.find(({ device }) => partitionOfRef(device) === name);
  if (flag === "bios_grub" && use)
    report(path, `bios_grub belongs to GRUB alone, but ${use.owner} uses \`partition/${name}\``);
  if (flag === "esp") checkEsp(scheme, name, path, report);
  if (flag === undefined || flag === "bios_grub" || flag === "esp") return;
  if (use === undefined)
    report(path, `is ${flag}, but nothing uses \`partition/${name}\`; add what does, or remove the flag`);
  else if (flagFor(use, partition) !== flag)
    report(path, `is ${flag}, but \`partition/${name}\` is used by ${use.owner}`);
}

// Firmware reads an ESP as it is, so a mirror of it must have its metadata at the end.
function checkEsp(scheme: SchemeSpec, name: string, path: string, report: Report): void {
  const holds = (device: string) =>
    scheme.fss.some((fs) => fs.device === device && fs.type === "vfat" && fs.mount === "/boot/efi");
  if (scheme.fss.some((fs) => partitionOfRef(fs.device) === name && holds(fs.device))) return;
  const md = scheme.mds.find(({ devices }) => devices.some((device) => partitionOfRef(device) === name));
  if (md && holds(`md/${md.name}`)) {
    if (md.level !== 1 || (md.metadata !== "1.0" && md.metadata !== "0.90"))
      report(path, `firmware can read md/${md.name} only if it has level 1 and metadata 1.0`);
    return;
  }
  report(
    path,
    `an ESP needs a file system: add to fss { device: partition/${name}, type: vfat, mount: /boot/efi }`,
  );
}

function checkMembers(scheme: SchemeSpec, report: Report): void {
  const count = (devices: string[]) => devices.reduce((sum, device) => sum + devicesOf(scheme, device), 0);
  scheme.mds.forEach(({ level, devices, spares, metadata, chunk }, i) => {
    const members = count(devices);
    const least = leastMembers[level] ?? 1;
    // A reference that does not exist has been reported; its array is not counted as well.
    const complete = devices.every(
      (device) => partitionOfRef(device) !== "" && devicesOf(scheme, device) > 0,
    );
    if (complete && members < least) {
      report(
        `mds[${i}].devices`,
        `RAID ${level} needs at least ${least} members; found ${members}. Raise the count of the disks`,
      );
    }
    if (level === 0 && spares.length) report(`mds[${i}].spares`, "RAID 0 has no use for spares; remove them");
    if (level === 1 && chunk) report(`mds[${i}].chunk`, "RAID 1 has no chunks; remove this");
    if (metadata === "0.90" && members + count(spares) > 27)
      report(`mds[${i}].metadata`, "with 0.90 an array has 27 members at most; use 1.2");
  });
  scheme.luks.forEach(({ device }, i) => {
    const copies = devicesOf(scheme, device);
    if (copies > 1)
      report(`luks[${i}].device`, `\`${device}\` is on ${copies} disks; name one, such as \`${device}/0\``);
  });
  scheme.fss.forEach(({ device, type }, i) => {
    const copies = devicesOf(scheme, device);
    const esp = scheme.parteds.some(({ partitions }) =>
      partitions.some(({ name, flags }) => partitionOfRef(device) === name && flags.includes("esp")),
    );
    if (device.startsWith("partition/") && copies > 1 && type !== "swap" && !esp) {
      report(`fss[${i}].device`, `\`${device}\` is on ${copies} disks; put it on an md, or on one disk`);
    }
  });
}

/** Devices that lie on each other in a circle can never be made. */
function checkLoops(scheme: SchemeSpec, uses: Use[], report: Report): void {
  // What lies on a device; a volume lies on its group.
  const above = (device: string): string[] => [
    ...uses.flatMap((use) => (use.device === device && use.user ? [use.user] : [])),
    ...scheme.lvs.flatMap(({ vg, name }) => (device === `vg/${vg}` ? [`lv/${vg}/${name}`] : [])),
  ];
  const returns = (start: string): boolean => {
    const seen = new Set<string>();
    const waiting = above(start);
    for (let device = waiting.pop(); device !== undefined; device = waiting.pop()) {
      if (device === start) return true;
      if (seen.has(device)) continue;
      seen.add(device);
      waiting.push(...above(device));
    }
    return false;
  };
  scheme.luks.forEach(({ name, device }, i) => {
    if (returns(`luks/${name}`)) report(`luks[${i}].device`, `\`${device}\` lies on luks/${name} itself`);
  });
}
