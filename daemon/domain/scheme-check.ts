// What is wrong with a scheme whatever machine it meets: names, references, sizes that exclude each other, and
// whether what it describes could boot.
import type { Fs, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import { checkHints } from "./hints.ts";
import { checkBoot } from "./scheme-boot.ts";
import { lvRefs } from "./scheme-devices.ts";
import { checkKeeps } from "./scheme-keeps.ts";
import { checkOptions } from "./scheme-options.ts";
import { checkSizes } from "./scheme-sizes.ts";
import { share, systemsOf } from "./scheme-systems.ts";
import { checkUses } from "./scheme-uses.ts";

/** `path` is a field of the scheme, such as `vgs[0].devices[1]`. */
export type SchemeFault = { path: string; message: string };
export type Report = (path: string, message: string) => void;

export function checkScheme(scheme: SchemeSpec): SchemeFault[] {
  const faults: SchemeFault[] = [];
  const report: Report = (path, message) => {
    faults.push({ path, message });
  };
  checkNames(scheme, report);
  checkSelectors(scheme, report);
  if (scheme.wholeDisk) {
    checkWholeDisk(scheme, report);
    return faults;
  }
  checkSizes(scheme, report);
  checkVolumes(scheme, report);
  checkUses(scheme, report);
  checkFilesystems(scheme, report);
  checkOptions(scheme, report);
  checkKeeps(scheme, report);
  checkBoot(scheme, report);
  return faults;
}

function checkNames(scheme: SchemeSpec, report: Report): void {
  const groups = [
    scheme.disks.map(({ id }, i) => ({ name: id, path: `disks[${i}].id` })),
    scheme.parteds.map(({ disks }, i) => ({ name: disks, path: `parteds[${i}].disks` })),
    scheme.parteds.flatMap(({ partitions }, i) =>
      partitions.map(({ name }, j) => ({ name, path: `parteds[${i}].partitions[${j}].name` })),
    ),
    scheme.mds.map(({ name }, i) => ({ name, path: `mds[${i}].name` })),
    scheme.vgs.map(({ name }, i) => ({ name, path: `vgs[${i}].name` })),
    lvRefs(scheme).map((name, i) => ({ name, path: `lvs[${i}].name` })),
    scheme.luks.map(({ name }, i) => ({ name, path: `luks[${i}].name` })),
    scheme.pvs.map(({ device }, i) => ({ name: device, path: `pvs[${i}].device` })),
  ];
  for (const group of groups) {
    const first = new Map<string, string>();
    for (const { name, path } of group) {
      const before = first.get(name);
      if (before !== undefined && name !== "")
        report(path, `\`${name}\` is already given by ${before}; it must be unique`);
      else first.set(name, path);
    }
  }
}

function checkSelectors(scheme: SchemeSpec, report: Report): void {
  const ids = scheme.disks.map(({ id }) => id);
  scheme.disks.forEach(({ id, hints }, i) => {
    for (const { hint, message } of checkHints(hints)) report(`disks[${i}].hints.${hint}`, message);
    if (!scheme.wholeDisk && !scheme.parteds.some(({ disks }) => disks === id)) {
      report(`disks[${i}].id`, `no parted uses these disks; add one with \`disks: ${id}\`, or remove them`);
    }
  });
  scheme.parteds.forEach(({ disks }, i) => {
    if (!ids.includes(disks))
      report(`parteds[${i}].disks`, `there is no disk selector \`${disks}\`${hintFor(disks, ids)}`);
  });
}

/** An image of a whole disk goes onto one disk, and no other is touched. */
function checkWholeDisk({ wholeDisk, disks }: SchemeSpec, report: Report): void {
  const ids = disks.map(({ id }) => id);
  if (!ids.includes(wholeDisk)) {
    report("whole_disk", `there is no disk selector \`${wholeDisk}\`${hintFor(wholeDisk, ids)}`);
    return;
  }
  disks.forEach(({ id, count }, i) => {
    if (id !== wholeDisk)
      report(`disks[${i}].id`, `the image goes onto \`${wholeDisk}\` alone; remove these disks`);
    else if (count > 1)
      report(`disks[${i}].count`, `an image of a whole disk goes onto one disk; found ${count}`);
  });
}

function checkVolumes(scheme: SchemeSpec, report: Report): void {
  const names = scheme.vgs.map(({ name }) => name);
  scheme.lvs.forEach(({ vg, type, pool, stripes, stripeSize, mirrors }, i) => {
    if (!names.includes(vg))
      report(`lvs[${i}].vg`, `there is no volume group \`${vg}\`${hintFor(vg, names)}`);
    const pools = scheme.lvs.filter((lv) => lv.vg === vg && lv.type === "thin_pool").map(({ name }) => name);
    if (type === "thin" && !pools.includes(pool))
      report(`lvs[${i}].pool`, `${vg} has no thin_pool \`${pool}\`${hintFor(pool, pools)}`);
    if (type !== "thin" && pool)
      report(`lvs[${i}].pool`, "only a volume of type thin has a pool; remove this");
    if (type !== "striped" && (stripes || stripeSize))
      report(`lvs[${i}].stripes`, "only a volume of type striped has stripes; set the type, or remove this");
    if (type !== "mirror" && mirrors)
      report(`lvs[${i}].mirrors`, "only a volume of type mirror has copies; set the type, or remove this");
    if (type === "mirror" && mirrors === 1) report(`lvs[${i}].mirrors`, "a mirror has 2 copies or more");
  });
}

const rootTypes = ["ext2", "ext3", "ext4", "xfs", "btrfs"];

/** How long a label may be. */
const labelLengths: Record<string, number> = { vfat: 11, xfs: 12, swap: 15, ext2: 16, ext3: 16, ext4: 16 };

function checkFilesystems(scheme: SchemeSpec, report: Report): void {
  const systems = systemsOf(scheme);
  scheme.fss.forEach((fs, i) => {
    const { type, mount, label, noFstab, os } = fs;
    const path = `fss[${i}].mount`;
    if (type === "swap" && mount) report(path, "swap is not mounted; remove this line");
    if (type !== "swap" && !mount && !noFstab)
      report(path, `is missing: where ${type} is to be mounted, such as /srv`);
    if (mount === "/" && noFstab) report(`fss[${i}].no_fstab`, "/ is always in fstab; remove this");
    if (mount === "/" && os.length !== 1 && systems.length > 1)
      report(
        path,
        `several operating systems (${systems.join(", ")}) would share this; give each a / of its own`,
      );
    if (mount === "/" && !rootTypes.includes(type))
      report(`fss[${i}].type`, `/ is ${rootTypes.slice(0, -1).join(", ")} or btrfs; found \`${type}\``);
    const longest = labelLengths[type] ?? 32;
    if (label.length > longest) report(`fss[${i}].label`, `has at most ${longest} characters on ${type}`);
    checkMount(scheme, fs, i, report);
  });
  for (const os of systems.length ? systems : [""]) {
    if (scheme.fss.some((fs) => fs.mount === "/" && (fs.os.length === 0 || fs.os.includes(os)))) continue;
    report("fss", `none is mounted at /${os && ` of ${os}`}; the image goes there`);
  }
}

function checkMount(scheme: SchemeSpec, fs: Fs, index: number, report: Report): void {
  const first = scheme.fss.findIndex((other) => other.mount === fs.mount && share(other, fs));
  if (fs.mount !== "" && first >= 0 && first < index) {
    report(
      `fss[${index}].mount`,
      `\`${fs.mount}\` is already given by fss[${first}].mount; it must be unique${fs.os.length ? " for each operating system" : ""}`,
    );
  }
}
