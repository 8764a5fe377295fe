// Nailgun's provisioning data: ks_spaces with disks, their volumes, and volume groups. Sizes are in MiB. What its
// agent adds by itself (the partitions for GRUB and UEFI, room for LVM's metadata, one /boot for all disks) is
// added here in the same places.
import { hintsForPath, mebibytes, SchemeBuilder } from "./builder.ts";
import type { Converter } from "./converter.ts";
import type { Raw } from "./raw.ts";

/** Physical volumes by their group. */
type Groups = Map<string, string[]>;
/** Members by the mount point of their array, and the volume that named it first. */
type Arrays = Map<string, { devices: string[]; raw: Raw }>;

export const nailgun: Converter = {
  name: "nailgun",
  convert(data, schemeName) {
    const builder = new SchemeBuilder(schemeName);
    const whole = builder.read(data);
    const spaces = spacesOf(whole);
    if (spaces.isEmpty) spaces.refuse("is missing");
    const disks = spaces.items().filter((space) => space.field("type").text() === "disk");
    const groups: Groups = new Map();
    const arrays: Arrays = new Map();
    const boot = bootDisk(disks);
    const journals = journalShares(disks);
    for (const disk of disks) convertDisk(disk, disk === boot, journals, groups, arrays, builder);
    for (const [mount, { devices, raw }] of arrays) addArray(mount, devices, raw, builder);
    for (const space of spaces.items()) {
      const type = space.field("type").text();
      if (type === "vg") convertVg(space, groups, builder);
      else if (type !== "disk") space.field("type").refuse(`is disk or vg; found ${type || "nothing"}`);
    }
    return builder.finish();
  },
};

/** Of a node's provisioning data, of its pm_data, or the list itself. */
function spacesOf(whole: Raw): Raw {
  if (Array.isArray(whole.value)) return whole;
  if (!whole.field("ks_spaces").isEmpty) return whole.field("ks_spaces");
  return whole.field("ks_meta").field("pm_data").field("ks_spaces");
}

function volumesOf(disk: Raw): Raw[] {
  return disk
    .field("volumes")
    .items()
    .filter((volume) => volume.field("size").number() > 0);
}

/** /boot is a partition of one disk: the one that is marked, or the first that has one and is no NVMe disk. */
function bootDisk(disks: Raw[]): Raw | undefined {
  const suitable = disks.filter(
    (disk) =>
      isUsed(disk) &&
      !disk.field("name").text().includes("nvme") &&
      volumesOf(disk).some((volume) => volume.field("mount").text() === "/boot"),
  );
  const marked = suitable.filter((disk) => disk.field("bootable").flag());
  if (marked.length > 1) marked[1]?.field("bootable").refuse("only one disk can be the one to boot from");
  return marked[0] ?? suitable[0];
}

/** A disk that only has what every disk of Nailgun has is left alone. */
function isUsed(disk: Raw): boolean {
  return volumesOf(disk).some(
    (volume) =>
      !["boot", "lvm_meta_pool"].includes(volume.field("type").text()) &&
      volume.field("mount").text() !== "/boot",
  );
}

/** How many journal partitions each Ceph journal volume is cut into. */
function journalShares(disks: Raw[]): Journals {
  const count = (name: string) =>
    disks.flatMap(volumesOf).filter((volume) => volume.field("name").text() === name).length;
  const [osds, volumes] = [count("ceph"), count("cephjournal")];
  return { each: volumes ? Math.ceil(osds / volumes) : 0, left: osds };
}

type Journals = { each: number; left: number };
/** A partition of the disk at hand; its device in the scheme. */
type AddPartition = (wanted: string, partition: Parameters<SchemeBuilder["addPartition"]>[3]) => string;

function convertDisk(
  disk: Raw,
  isBoot: boolean,
  journals: Journals,
  groups: Groups,
  arrays: Arrays,
  builder: SchemeBuilder,
): void {
  disk.knows("type", "id", "name", "size", "extra", "free_space", "bootable", "volumes");
  if (!isUsed(disk)) return;
  const name = disk.field("name").need();
  const parted = builder.addDisk(name, hintsOf(disk), { label: "gpt" });
  const add: AddPartition = (wanted, partition) =>
    builder.addPartition(parted, `${name} ${parted.partitions.length}`, `${name}-${wanted}`, partition);
  add("bios", { size: mebibytes(24), flags: ["bios_grub"] });
  // Nailgun leaves it empty, for a later ESP.
  add("uefi", { size: mebibytes(200) });
  for (const volume of volumesOf(disk)) {
    volume.knows(
      "type",
      "size",
      "vg",
      "lvm_meta_size",
      "mount",
      "file_system",
      "name",
      "disk_label",
      "partition_guid",
      "keep_data",
    );
    const guid = volume.field("partition_guid").text();
    if (volume.field("name").text() === "cephjournal")
      addJournals(volume, journals, (journal, size) => add(`journal${journal}`, { size, guid }));
    else convertVolume(volume, isBoot, add, groups, arrays, builder);
  }
}

function convertVolume(
  volume: Raw,
  isBoot: boolean,
  add: AddPartition,
  groups: Groups,
  arrays: Arrays,
  builder: SchemeBuilder,
): void {
  const type = volume.field("type").text();
  const size = mebibytes(volume.field("size").number());
  const mount = volume.field("mount").text();
  const keepData = volume.field("keep_data").flag();
  const guid = volume.field("partition_guid").text();
  const label = volume.field("name").text() || mount.replaceAll("/", "") || type;
  switch (type) {
    case "boot":
    case "lvm_meta_pool":
      break;
    case "pv":
      addPv(volume, add(label, { size, keepData, flags: ["lvm"] }), groups, builder);
      break;
    case "partition":
      if (mount !== "/boot" || isBoot)
        addFs(volume, add(mount === "/boot" ? "boot" : label, { size, keepData, guid }), "xfs", builder);
      break;
    case "raid":
      if (mount === "/boot") {
        if (isBoot) addFs(volume, add("boot", { size, keepData }), "ext2", builder);
      } else if (mount === "" || mount === "none")
        volume.field("mount").refuse("is missing: an array is named by it");
      else {
        const array = arrays.get(mount) ?? { devices: [], raw: volume };
        array.devices.push(add(label, { size, keepData, flags: ["raid"] }));
        arrays.set(mount, array);
      }
      break;
    default:
      volume
        .field("type")
        .refuse(`is pv, partition, raid, boot or lvm_meta_pool; found ${type || "nothing"}`);
  }
}

/** Any of the links below by-id, or else what its id says, or its name. */
function hintsOf(disk: Raw): Record<string, string> {
  const links = disk
    .field("extra")
    .items()
    .map((link) => link.text())
    .filter((link) => link.startsWith("disk/by-id/"))
    .map((link) => `/dev/${link}`);
  if (links.length === 1) return { by_id: links[0] ?? "" };
  if (links.length) return { by_id: links.map((link) => `<or> ${link}`).join(" ") };
  const id = disk.field("id").text();
  return hintsForPath(id || disk.field("name").text());
}

/** At most 10 GiB for a journal. */
function addJournals(volume: Raw, journals: Journals, add: (journal: number, size: string) => void): void {
  const { each } = journals;
  if (each === 0) {
    volume.refuse("is a Ceph journal, but no disk has a volume `ceph` that it could be for");
    return;
  }
  const size = mebibytes(Math.min(10_240, Math.floor(volume.field("size").number() / each)));
  const count = Math.min(each, journals.left);
  for (let i = 0; i < count; i++) add(i + 1, size);
  journals.left -= count;
}

/** Nailgun counts 64 MiB of each physical volume for two copies of the metadata. */
function addPv(volume: Raw, device: string, groups: Groups, builder: SchemeBuilder): void {
  const vg = volume.field("vg").need();
  const meta = volume.field("lvm_meta_size").number(64);
  if (meta < 10) volume.field("lvm_meta_size").refuse("is too small: 10 MiB at least");
  groups.set(vg, [...(groups.get(vg) ?? []), device]);
  builder.addPv({ device, metadataSize: mebibytes(Math.floor((meta - 8) / 2)), metadataCopies: 2 });
}

function addArray(mount: string, devices: string[], raw: Raw, builder: SchemeBuilder): void {
  const name = mount === "/" ? "root" : mount;
  if (devices.length < 2) raw.refuse(`the array for ${mount} has one member only`);
  addFs(raw, builder.addMd(mount, name, { level: 1, devices }), "xfs", builder);
}

function convertVg(space: Raw, groups: Groups, builder: SchemeBuilder): void {
  space.knows("type", "id", "label", "min_size", "_allocate_size", "volumes", "size");
  const name = space.field("id").need();
  const volumes = volumesOf(space);
  const devices = groups.get(name);
  if (!devices) {
    if (volumes.length) space.field("id").refuse(`no disk has a pv for the group ${name}`);
    return;
  }
  groups.delete(name);
  builder.addVg({ name, devices });
  for (const volume of volumes) {
    volume.knows("type", "name", "size", "mount", "file_system", "disk_label", "keep_data");
    if (volume.field("type").text() !== "lv") volume.field("type").refuse("is lv in a group");
    const lv = volume.field("name").need();
    const keepData = volume.field("keep_data").flag();
    const device = builder.addLv(`${name}/${lv}`, {
      vg: name,
      name: lv,
      size: mebibytes(volume.field("size").number()),
      keepData,
    });
    addFs(volume, device, "xfs", builder);
  }
}

function addFs(volume: Raw, device: string, usual: string, builder: SchemeBuilder): void {
  const mount = volume.field("mount").text();
  if (mount === "" || mount === "none") return;
  const type = mount === "swap" ? "swap" : volume.field("file_system").text(usual);
  builder.addFs({
    device,
    type,
    mount: type === "swap" ? "" : mount,
    label: volume.field("disk_label").text(),
    keepData: volume.field("keep_data").flag(),
  });
}
