// What is wrong with a scheme whatever machine it meets: names, references, sizes that exclude each other, and
// whether what it describes could boot.
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import { checkHints } from "./hints.ts";
import { lvRefs, partitionRefs } from "./scheme-devices.ts";
import { checkUses } from "./scheme-uses.ts";
import { parseSize } from "./size.ts";

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
  scheme.parteds.forEach(({ partitions }, i) => {
    const paths = partitions.map((_, j) => `parteds[${i}].partitions[${j}].size`);
    checkSizes(
      partitions.map(({ size }, j) => ({ size, path: paths[j] ?? "" })),
      "a disk",
      report,
    );
  });
  checkVolumes(scheme, report);
  checkUses(scheme, report);
  checkFilesystems(scheme, report);
  return faults;
}

function checkNames(scheme: SchemeSpec, report: Report): void {
  const list = (field: string, key: string, names: string[]) => ({
    names,
    path: (i: number) => `${field}[${i}].${key}`,
  });
  const partitionPaths = scheme.parteds.flatMap(({ partitions }, i) =>
    partitions.map((_, j) => `parteds[${i}].partitions[${j}].name`),
  );
  const groups = [
    list(
      "disks",
      "id",
      scheme.disks.map(({ id }) => id),
    ),
    list(
      "parteds",
      "disks",
      scheme.parteds.map(({ disks }) => disks),
    ),
    {
      names: partitionRefs(scheme).map((ref) => ref.slice("partition/".length)),
      path: (i: number) => partitionPaths[i] ?? "",
    },
    list(
      "mds",
      "name",
      scheme.mds.map(({ name }) => name),
    ),
    list(
      "vgs",
      "name",
      scheme.vgs.map(({ name }) => name),
    ),
    list("lvs", "name", lvRefs(scheme)),
    list(
      "fss",
      "mount",
      scheme.fss.map(({ mount }) => mount),
    ),
  ];
  for (const { names, path } of groups) {
    names.forEach((name, i) => {
      const first = names.indexOf(name);
      if (name !== "" && first < i)
        report(path(i), `\`${name}\` is already given by ${path(first)}; it must be unique`);
    });
  }
}

function checkSelectors(scheme: SchemeSpec, report: Report): void {
  const ids = scheme.disks.map(({ id }) => id);
  scheme.disks.forEach(({ id, hints }, i) => {
    for (const { hint, message } of checkHints(hints)) report(`disks[${i}].hints.${hint}`, message);
    if (!scheme.parteds.some(({ disks }) => disks === id)) {
      report(`disks[${i}].id`, `no parted uses these disks; add one with \`disks: ${id}\`, or remove them`);
    }
  });
  scheme.parteds.forEach(({ disks }, i) => {
    if (!ids.includes(disks))
      report(`parteds[${i}].disks`, `there is no disk selector \`${disks}\`${hintFor(disks, ids)}`);
  });
}

// Sizes that share one disk or volume group.
function checkSizes(sizes: { size: string; path: string }[], whole: string, report: Report): void {
  let remaining: string | undefined;
  let percent = 0;
  for (const { size: text, path } of sizes) {
    const size = parseSize(text);
    if (size?.kind === "remaining") {
      if (remaining)
        report(path, `only one can have what remains of ${whole}, and ${remaining} does already`);
      remaining ??= path;
    } else if (size?.kind === "share") {
      percent += (Number(size.parts) * 100) / Number(size.whole);
      if (percent > 100)
        report(path, `with this the shares of ${whole} add up to ${percent}%; make them 100% or less`);
      if (size.parts === 0n) report(path, "is nothing; give it a size");
    } else if (size?.bytes === 0n) report(path, "is nothing; give it a size");
  }
}

function checkVolumes(scheme: SchemeSpec, report: Report): void {
  const names = scheme.vgs.map(({ name }) => name);
  scheme.lvs.forEach(({ vg }, i) => {
    if (!names.includes(vg))
      report(`lvs[${i}].vg`, `there is no volume group \`${vg}\`${hintFor(vg, names)}`);
  });
  for (const name of new Set(names)) {
    const own = scheme.lvs.flatMap(({ vg, size }, i) =>
      vg === name ? [{ size, path: `lvs[${i}].size` }] : [],
    );
    checkSizes(own, `volume group ${name}`, report);
  }
}

function checkFilesystems(scheme: SchemeSpec, report: Report): void {
  scheme.fss.forEach(({ type, mount, label }, i) => {
    const path = `fss[${i}].mount`;
    if (type === "swap" && mount) report(path, "swap is not mounted; remove this line");
    if (type !== "swap" && !mount) report(path, `is missing: where ${type} is to be mounted, such as /srv`);
    if (mount === "/" && type !== "ext4" && type !== "xfs")
      report(`fss[${i}].type`, `/ is ext4 or xfs; found \`${type}\``);
    if (type === "vfat" && label.length > 11) report(`fss[${i}].label`, "has at most 11 characters on vfat");
  });
  if (!scheme.fss.some(({ mount }) => mount === "/"))
    report("fss", "none is mounted at /; the image goes there");
  const flags = scheme.parteds.flatMap(({ partitions }) =>
    partitions.flatMap((partition) => partition.flags),
  );
  if (!flags.includes("bios_grub") && !flags.includes("esp")) {
    report(
      "parteds",
      "no machine could boot from this: add a partition with the flag bios_grub (1 MiB), or esp, or both",
    );
  }
}
