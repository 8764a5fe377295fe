// Whether the devices of a scheme are used as they can be: each exists, has one user, and has the flag and the
// number of members that its user needs.
import type { Partition, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import type { Report } from "./scheme-check.ts";
import { copiesOf, flagFor, lvRefs, mdRefs, partitionRefs, type Use, usesOf } from "./scheme-devices.ts";

const leastMembers: Record<number, number> = { 0: 2, 1: 2, 4: 3, 5: 3, 6: 4, 10: 2 };

export function checkUses(scheme: SchemeSpec, report: Report): void {
  const uses = usesOf(scheme);
  checkReferences(scheme, uses, report);
  scheme.parteds.forEach(({ partitions }, i) => {
    partitions.forEach((partition, j) => {
      checkFlags(scheme, partition, uses, `parteds[${i}].partitions[${j}].flags`, report);
    });
  });
  checkMembers(scheme, report);
}

function checkReferences(scheme: SchemeSpec, uses: Use[], report: Report): void {
  const known = {
    md: partitionRefs(scheme),
    vg: [...partitionRefs(scheme), ...mdRefs(scheme)],
    fs: [...partitionRefs(scheme), ...mdRefs(scheme), ...lvRefs(scheme)],
  };
  uses.forEach(({ path, device, by, owner }, i) => {
    if (!known[by].includes(device)) {
      const wrong = known.fs.includes(device)
        ? `\`${device}\` cannot be used here`
        : `there is no device \`${device}\``;
      report(path, `${wrong}${hintFor(device, known[by])}`);
      return;
    }
    const other = uses.slice(0, i).find((use) => use.device === device && known[use.by].includes(device));
    if (other)
      report(
        path,
        `\`${device}\` is already used by ${other.owner} (${other.path}); it cannot be in ${owner} too`,
      );
  });
}

function checkFlags(
  scheme: SchemeSpec,
  partition: Partition,
  uses: Use[],
  path: string,
  report: Report,
): void {
  const { name, flags } = partition;
  if (flags.length > 1) {
    report(path, `a GPT partition has one type, so only one of ${flags.join(", ")}`);
    return;
  }
  const [flag] = flags;
  const use = uses.find(({ device }) => device === `partition/${name}`);
  if (flag === "bios_grub" && use)
    report(path, `bios_grub belongs to GRUB alone, but ${use.owner} uses \`partition/${name}\``);
  if (flag === "esp") checkEsp(scheme, name, path, report);
  if (flag === undefined || flag === "bios_grub" || flag === "esp") return;
  if (use === undefined)
    report(path, `is ${flag}, but nothing uses \`partition/${name}\`; add what does, or remove the flag`);
  else if (flagFor(use, partition) !== flag)
    report(path, `is ${flag}, but \`partition/${name}\` is used by ${use.owner}`);
}

function checkEsp(scheme: SchemeSpec, name: string, path: string, report: Report): void {
  const fs = scheme.fss.find(({ device }) => device === `partition/${name}`);
  if (fs?.type === "vfat" && fs.mount === "/boot/efi") return;
  report(
    path,
    `an ESP needs a file system: add to fss { device: partition/${name}, type: vfat, mount: /boot/efi }`,
  );
}

function checkMembers(scheme: SchemeSpec, report: Report): void {
  scheme.mds.forEach(({ level, devices }, i) => {
    const members = devices.reduce((sum, device) => sum + copiesOf(scheme, nameOf(device)), 0);
    const least = leastMembers[level] ?? 1;
    // A reference that does not exist has been reported; its array is not counted as well.
    const complete = devices.every((device) => copiesOf(scheme, nameOf(device)) > 0);
    if (complete && members < least) {
      report(
        `mds[${i}].devices`,
        `RAID ${level} needs at least ${least} members; found ${members}. Raise the count of the disks`,
      );
    }
  });
  scheme.fss.forEach(({ device, type }, i) => {
    const copies = copiesOf(scheme, nameOf(device));
    const esp = scheme.parteds.some(({ partitions }) =>
      partitions.some(
        (partition) => device === `partition/${partition.name}` && partition.flags.includes("esp"),
      ),
    );
    if (device.startsWith("partition/") && copies > 1 && type !== "swap" && !esp) {
      report(`fss[${i}].device`, `\`${device}\` is on ${copies} disks; put it on an md, or on one disk`);
    }
  });
}

function nameOf(device: string): string {
  return device.startsWith("partition/") ? device.slice("partition/".length) : "";
}
