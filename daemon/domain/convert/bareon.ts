// Bareon's "simple" data: parteds, mds, pvs, vgs, lvs and fss as its objects write themselves. Sizes are in MiB.
import type { Parted } from "../../../proto/gen/muster/v1/manifest_pb.ts";
import { hintsForPath, mebibytes, SchemeBuilder } from "./builder.ts";
import type { Converter } from "./converter.ts";
import type { Raw } from "./raw.ts";

export const bareon: Converter = {
  name: "bareon",
  convert(data, schemeName) {
    const builder = new SchemeBuilder(schemeName);
    const whole = builder.read(data);
    const inner = whole.field("partitioning");
    const layout = inner.isEmpty ? whole : inner;
    if (layout.field("parteds").isEmpty) layout.field("parteds").refuse("is missing");
    for (const parted of layout.field("parteds").items()) convertParted(parted, builder);
    for (const md of layout.field("mds").items()) convertMd(md, builder);
    const pvs = layout.field("pvs").items();
    for (const vg of layout.field("vgs").items()) convertVg(vg, pvs, builder);
    for (const lv of layout.field("lvs").items()) convertLv(lv, builder);
    for (const fs of layout.field("fss").items()) convertFs(fs, builder);
    return builder.finish();
  },
};

const flags = ["bios_grub", "legacy_boot", "boot", "raid", "lvm"];

function convertParted(raw: Raw, builder: SchemeBuilder): void {
  raw.knows("name", "label", "partitions", "install_bootloader", "disk_size");
  const device = raw.field("name").need();
  const label = raw.field("label").text("gpt");
  if (label !== "gpt" && label !== "msdos") raw.field("label").refuse(`is gpt or msdos; found ${label}`);
  const parted = builder.addDisk(device, hintsForPath(device), {
    label,
    // Bareon's flag is what Muster finds out by itself where there is a partition for it.
    bootloader: raw.field("install_bootloader").flag() ? "install" : "none",
  });
  for (const partition of raw.field("partitions").items())
    convertPartition(partition, device, parted, builder);
}

function convertPartition(raw: Raw, device: string, parted: Parted, builder: SchemeBuilder): void {
  raw.knows(
    "name",
    "count",
    "device",
    "begin",
    "end",
    "partition_type",
    "flags",
    "guid",
    "configdrive",
    "keep_data",
  );
  const name = raw.field("name").text();
  const type = raw.field("partition_type").text("primary");
  const given = raw.field("flags").items();
  for (const flag of given) {
    if (!flags.includes(flag.text())) flag.refuse(`there is no such flag; it is one of ${flags.join(", ")}`);
  }
  const guid = raw.field("guid").text();
  const begin = mebibytes(raw.field("begin").number());
  const end = mebibytes(raw.field("end").number());
  builder.addPartition(parted, name, name || `${device}-extended`, {
    count: raw.field("count").number(),
    ...(type === "extended" ? {} : { begin, end }),
    type: parted.label === "msdos" ? type : "",
    flags: given.map((flag) => flag.text()).filter((flag) => !guid || flag === "legacy_boot"),
    guid,
    configdrive: raw.field("configdrive").flag(),
    keepData: raw.field("keep_data").flag(),
  });
}

const levels: Record<string, number> = {
  mirror: 1,
  stripe: 0,
  raid0: 0,
  raid1: 1,
  raid4: 4,
  raid5: 5,
  raid6: 6,
  raid10: 10,
};

function convertMd(raw: Raw, builder: SchemeBuilder): void {
  raw.knows("name", "level", "devices", "spares", "metadata", "keep_data");
  const name = raw.field("name").need();
  const written = raw.field("level").text("mirror");
  const level = levels[written] ?? Number(written);
  if (!Object.values(levels).includes(level)) raw.field("level").refuse(`there is no RAID level ${written}`);
  const metadata = raw.field("metadata").text("default");
  builder.addMd(name, name, {
    level,
    devices: raw
      .field("devices")
      .items()
      .map((device) => builder.device(device)),
    spares: raw
      .field("spares")
      .items()
      .map((device) => builder.device(device)),
    metadata: metadata === "default" ? "" : metadata === "0.9" ? "0.90" : metadata,
    keepData: raw.field("keep_data").flag(),
  });
}

function convertVg(raw: Raw, pvs: Raw[], builder: SchemeBuilder): void {
  raw.knows("name", "pvnames", "keep_data");
  const devices = raw.field("pvnames").items();
  builder.addVg({
    name: raw.field("name").need(),
    devices: devices.map((device) => builder.device(device)),
    keepData: raw.field("keep_data").flag(),
  });
  for (const pv of pvs) {
    if (!devices.some((device) => device.text() === pv.field("name").text())) continue;
    pv.knows("name", "metadatasize", "metadatacopies", "keep_data");
    builder.addPv({
      device: builder.device(pv.field("name")),
      metadataSize: mebibytes(pv.field("metadatasize").number(16)),
      metadataCopies: pv.field("metadatacopies").number(2),
    });
  }
}

function convertLv(raw: Raw, builder: SchemeBuilder): void {
  raw.knows("name", "vgname", "size", "keep_data", "device_name");
  const name = raw.field("name").need();
  const vg = raw.field("vgname").need();
  const foreign = `/dev/mapper/${vg.replaceAll("-", "--")}-${name.replaceAll("-", "--")}`;
  builder.addLv(foreign, {
    name,
    vg,
    size: mebibytes(raw.field("size").number()),
    keepData: raw.field("keep_data").flag(),
  });
}

function convertFs(raw: Raw, builder: SchemeBuilder): void {
  raw.knows(
    "device",
    "mount",
    "fs_type",
    "fs_options",
    "fs_label",
    "keep_data",
    "fstab_enabled",
    "fstab_options",
    "os_id",
  );
  const type = raw.field("fs_type").text("xfs");
  const mount = raw.field("mount").text();
  const isSwap = type === "swap" || mount === "swap";
  const options = raw.field("fstab_options").text("defaults");
  builder.addFs({
    device: builder.device(raw.field("device")),
    type: isSwap ? "swap" : type,
    mount: isSwap || mount === "none" ? "" : mount,
    label: labelOf(raw.field("fs_label").text()),
    options: options === "defaults" ? "" : options,
    mkfsOptions: raw.field("fs_options").text().split(/\s+/).filter(Boolean),
    noFstab: raw.field("fstab_enabled").value === false || (!isSwap && (!mount || mount === "none")),
    os: raw
      .field("os_id")
      .items()
      .map((os) => os.text().toLowerCase()),
    keepData: raw.field("keep_data").flag(),
  });
}

/** fuel-agent's way of writing a label for mkfs: " -L name ". */
function labelOf(text: string): string {
  return text.replace(/^\s*-L\s*/, "").trim();
}
