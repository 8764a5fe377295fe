// What the converters share: a scheme that grows, the names that its rules allow, and what another tool's names of
// devices are called in it.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  DiskSelectorSchema,
  FsSchema,
  LuksSchema,
  LvSchema,
  MdSchema,
  type Parted,
  PartedSchema,
  PartitionSchema,
  PvSchema,
  type SchemeSpec,
  SchemeSpecSchema,
  VgSchema,
} from "../../../proto/gen/muster/v1/manifest_pb.ts";
import type { Conversion, ConversionFault } from "./converter.ts";
import { Raw } from "./raw.ts";

export class SchemeBuilder {
  readonly scheme: SchemeSpec;
  readonly faults: ConversionFault[] = [];
  readonly #devices = new Map<string, string>();
  readonly #names = new Set<string>();

  constructor(name: string) {
    this.scheme = create(SchemeSpecSchema, { name });
  }

  read(data: unknown): Raw {
    return new Raw(data, "", this.faults);
  }

  finish(): Conversion {
    return this.faults.length ? { ok: false, faults: this.faults } : { ok: true, scheme: this.scheme };
  }

  /** A disk with a table of its own. */
  addDisk(
    wanted: string,
    hints: Record<string, string>,
    parted: MessageInitShape<typeof PartedSchema>,
  ): Parted {
    const id = this.#own(wanted, "-");
    const added = create(PartedSchema, { ...parted, disks: id });
    this.scheme.disks.push(create(DiskSelectorSchema, { id, hints }));
    this.scheme.parteds.push(added);
    return added;
  }

  addPartition(
    parted: Parted,
    foreign: string,
    wanted: string,
    partition: MessageInitShape<typeof PartitionSchema>,
  ): string {
    const name = this.#own(wanted, "-");
    parted.partitions.push(create(PartitionSchema, { ...partition, name }));
    return this.#called(foreign, `partition/${name}`);
  }

  addMd(foreign: string, wanted: string, md: MessageInitShape<typeof MdSchema>): string {
    const name = this.#own(wanted, "-");
    this.scheme.mds.push(create(MdSchema, { ...md, name }));
    return this.#called(foreign, `md/${name}`);
  }

  addVg(vg: MessageInitShape<typeof VgSchema>): void {
    this.scheme.vgs.push(create(VgSchema, vg));
  }

  addPv(pv: MessageInitShape<typeof PvSchema>): void {
    this.scheme.pvs.push(create(PvSchema, pv));
  }

  addLv(foreign: string, lv: MessageInitShape<typeof LvSchema>): string {
    this.scheme.lvs.push(create(LvSchema, lv));
    return this.#called(foreign, `lv/${lv.vg}/${lv.name}`);
  }

  addLuks(foreign: string, wanted: string, luks: MessageInitShape<typeof LuksSchema>): string {
    const name = this.#own(wanted, "_");
    this.scheme.luks.push(create(LuksSchema, { ...luks, name }));
    return this.#called(foreign, `luks/${name}`);
  }

  addFs(fs: MessageInitShape<typeof FsSchema>): void {
    this.scheme.fss.push(create(FsSchema, fs));
  }

  /** What another tool's device is called in the scheme; refused if nothing is called so. */
  device(raw: Raw): string {
    const foreign = raw.need();
    const device = this.#devices.get(foreign);
    if (device) return device;
    if (foreign) raw.refuse(`there is no device \`${foreign}\``);
    return "";
  }

  #called(foreign: string, device: string): string {
    this.#devices.set(foreign, device);
    return device;
  }

  /** A name of its own for a disk, a partition, an array or an encrypted device. */
  #own(wanted: string, separator: "-" | "_"): string {
    const base = plainName(wanted, separator);
    let name = base;
    for (let i = 2; this.#names.has(name); i++) name = `${base}${separator}${i}`;
    this.#names.add(name);
    return name;
  }
}

/** Without what is not allowed in a name. */
export function plainName(wanted: string, separator: "-" | "_"): string {
  const plain = wanted
    .toLowerCase()
    .replace(/^\/dev\//, "")
    .replace(/[^a-z0-9]+/g, separator)
    .replace(/^[^a-z]+/, "")
    .replace(/[-_]+$/, "")
    .slice(0, 28);
  return plain || "x";
}

/** Hints for a disk that another tool calls by a path. */
export function hintsForPath(path: string): Record<string, string> {
  const full = path.startsWith("/dev/") ? path : `/dev/${path}`;
  if (full.startsWith("/dev/disk/by-id/")) return { by_id: full };
  if (full.startsWith("/dev/disk/by-path/")) return { by_path: full };
  return { name: full };
}

/** "512 MiB" */
export function mebibytes(count: number): string {
  return `${count} MiB`;
}
