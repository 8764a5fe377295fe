// The devices of a scheme by the names that its parts use for each other, and what each one is used for.
import type { Fs, Partition, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { type Label, type TypeFlag, typeCode, typeFlagsOf } from "./partition-types.ts";

/** `path` is that of the field that refers to the device. */
export type Use = {
  path: string;
  device: string;
  by: "md" | "vg" | "fs" | "luks";
  owner: string;
  fs?: Fs;
  /** The device that the user is, as others refer to it; none for a file system. */
  user?: string;
};

export function partitionRefs(scheme: SchemeSpec): string[] {
  return scheme.parteds.flatMap(({ partitions }) => partitions.map(({ name }) => `partition/${name}`));
}

/** Also each partition of one disk: partition/NAME/INDEX. */
export function allPartitionRefs(scheme: SchemeSpec): string[] {
  return partitionRefs(scheme).flatMap((ref) => {
    const copies = copiesOf(scheme, partitionOfRef(ref));
    return [ref, ...Array.from({ length: copies }, (_, index) => `${ref}/${index}`)];
  });
}

export function mdRefs(scheme: SchemeSpec): string[] {
  return scheme.mds.map(({ name }) => `md/${name}`);
}

export function lvRefs(scheme: SchemeSpec): string[] {
  return scheme.lvs.map(({ vg, name }) => `lv/${vg}/${name}`);
}

export function luksRefs(scheme: SchemeSpec): string[] {
  return scheme.luks.map(({ name }) => `luks/${name}`);
}

/** Every reference to a device, in the order of the scheme. */
export function usesOf(scheme: SchemeSpec): Use[] {
  const known = usesByScheme.get(scheme);
  if (known) return known;
  const uses: Use[] = [
    ...scheme.mds.flatMap(({ name, devices, spares }, i) => [
      ...devices.map((device, j) => use(`mds[${i}].devices[${j}]`, device, "md", `md/${name}`, `md/${name}`)),
      ...spares.map((device, j) => use(`mds[${i}].spares[${j}]`, device, "md", `md/${name}`, `md/${name}`)),
    ]),
    ...scheme.luks.map(({ name, device }, i) =>
      use(`luks[${i}].device`, device, "luks", `luks/${name}`, `luks/${name}`),
    ),
    ...scheme.vgs.flatMap(({ name, devices }, i) =>
      devices.map((device, j) => use(`vgs[${i}].devices[${j}]`, device, "vg", `vg ${name}`, `vg/${name}`)),
    ),
    ...scheme.fss.map((fs, i) => ({
      ...use(`fss[${i}].device`, fs.device, "fs", `${fs.type} ${fs.mount}`.trim()),
      fs,
    })),
  ];
  usesByScheme.set(scheme, uses);
  return uses;
}

// Asked for every partition of every node.
const usesByScheme = new WeakMap<SchemeSpec, Use[]>();

function use(path: string, device: string, by: Use["by"], owner: string, user?: string): Use {
  return { path, device, by, owner, ...(user ? { user } : {}) };
}

/** The partition of partition/NAME and partition/NAME/INDEX; empty for any other device. */
export function partitionOfRef(ref: string): string {
  return ref.startsWith("partition/") ? (ref.split("/")[1] ?? "") : "";
}

/** The flag that fits a use; none for a plain file system. */
export function flagFor({ by, fs }: Use, partition: Partition): TypeFlag | undefined {
  if (by === "md") return partition.flags.includes("esp") ? "esp" : "raid";
  if (by === "vg") return "lvm";
  if (by === "luks") return "luks";
  if (fs?.type === "swap") return "swap";
  return fs?.type === "vfat" && partition.flags.includes("esp") ? "esp" : undefined;
}

/** The type of a partition: its GUID, or by its flag, or else by its use. */
export function typeCodeOf(partition: Partition, uses: Use[], label: Label): string {
  if (partition.guid && label === "gpt") return partition.guid.toUpperCase();
  const use = uses.find(({ device }) => partitionOfRef(device) === partition.name);
  const flag = typeFlagsOf(partition, label)[0] ?? (use && flagFor(use, partition));
  return typeCode(flag ?? "data", label);
}

/** How many disks a partition is on: one for each disk of its selector. */
export function copiesOf(scheme: SchemeSpec, partition: string): number {
  const parted = scheme.parteds.find(({ partitions }) => partitions.some(({ name }) => name === partition));
  const selector = scheme.disks.find(({ id }) => id === parted?.disks);
  return selector ? selector.count || 1 : 0;
}

/** How many devices a reference stands for. */
export function devicesOf(scheme: SchemeSpec, ref: string): number {
  const partition = partitionOfRef(ref);
  if (!partition) return 1;
  return ref.split("/").length > 2 ? 1 : copiesOf(scheme, partition);
}
