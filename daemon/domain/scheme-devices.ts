// The devices of a scheme by the names that its parts use for each other, and what each one is used for.
import type { Partition, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";

export type Flag = "bios_grub" | "esp" | "raid" | "lvm" | "swap";
/** `path` is that of the field that refers to the device. */
export type Use = { path: string; device: string; by: "md" | "vg" | "fs"; owner: string; fsType?: string };

const typeCodes: Record<Flag | "data", string> = {
  bios_grub: "ef02",
  esp: "ef00",
  raid: "fd00",
  lvm: "8e00",
  swap: "8200",
  data: "8300",
};

export function partitionRefs(scheme: SchemeSpec): string[] {
  return scheme.parteds.flatMap(({ partitions }) => partitions.map(({ name }) => `partition/${name}`));
}

export function mdRefs(scheme: SchemeSpec): string[] {
  return scheme.mds.map(({ name }) => `md/${name}`);
}

export function lvRefs(scheme: SchemeSpec): string[] {
  return scheme.lvs.map(({ vg, name }) => `lv/${vg}/${name}`);
}

/** Every reference to a device, in the order of the scheme. */
export function usesOf(scheme: SchemeSpec): Use[] {
  return [
    ...scheme.mds.flatMap(({ name, devices }, i) =>
      devices.map((device, j) => use(`mds[${i}].devices[${j}]`, device, "md", `md/${name}`)),
    ),
    ...scheme.vgs.flatMap(({ name, devices }, i) =>
      devices.map((device, j) => use(`vgs[${i}].devices[${j}]`, device, "vg", `vg ${name}`)),
    ),
    ...scheme.fss.map(({ device, type, mount }, i) => ({
      ...use(`fss[${i}].device`, device, "fs", `${type} ${mount}`.trim()),
      fsType: type,
    })),
  ];
}

function use(path: string, device: string, by: Use["by"], owner: string): Use {
  return { path, device, by, owner };
}

/** The flag that fits a use; none for a plain file system. */
export function flagFor({ by, fsType }: Use, partition: Partition): Flag | undefined {
  if (by === "md") return "raid";
  if (by === "vg") return "lvm";
  if (fsType === "swap") return "swap";
  return fsType === "vfat" && partition.flags.includes("esp") ? "esp" : undefined;
}

/** The GPT type of a partition: by its flag, or else by its use. */
export function typeCodeOf(partition: Partition, uses: Use[]): string {
  const use = uses.find(({ device }) => device === `partition/${partition.name}`);
  const flag = (partition.flags[0] as Flag | undefined) ?? (use && flagFor(use, partition));
  return typeCodes[flag ?? "data"];
}

/** How many disks a partition is on: one for each disk of its selector. */
export function copiesOf(scheme: SchemeSpec, partition: string): number {
  const parted = scheme.parteds.find(({ partitions }) => partitions.some(({ name }) => name === partition));
  const selector = scheme.disks.find(({ id }) => id === parted?.disks);
  return selector ? selector.count || 1 : 0;
}
