// `lsblk -J -O -b` as disks with what is on them. Shared by the agent, which has more to add from sysfs and udev,
// and by whoever has only that output of a machine.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Disk, type DiskContentSchema, DiskSchema } from "../gen/muster/v1/inventory_pb.ts";

/** Links below /dev/disk and attributes of sysfs, by the disk's kernel name. */
export type DiskExtras = {
  byId: ReadonlyMap<string, string[]>;
  byPath: ReadonlyMap<string, string[]>;
  /** What lsblk leaves empty when udev knows nothing: virtio disks have their serial only here. */
  serials: ReadonlyMap<string, string>;
};

/** Before util-linux 2.33 lsblk writes "1" and "0", and numbers as text. */
type Flag = boolean | string | null;
type Count = number | string | null;

type Device = {
  name: string;
  kname?: string | null;
  type: string;
  size: Count;
  model?: string | null;
  vendor?: string | null;
  serial?: string | null;
  wwn?: string | null;
  hctl?: string | null;
  tran?: string | null;
  subsystems?: string | null;
  rota?: Flag;
  rm?: Flag;
  ro?: Flag;
  "log-sec"?: Count;
  "phy-sec"?: Count;
  fstype?: string | null;
  label?: string | null;
  partlabel?: string | null;
  uuid?: string | null;
  pttype?: string | null;
  partn?: Count;
  partuuid?: string | null;
  parttype?: string | null;
  partflags?: string | null;
  start?: Count;
  mountpoints?: (string | null)[];
  /** Before util-linux 2.37: one only. */
  mountpoint?: string | null;
  children?: Device[];
};

type Content = MessageInitShape<typeof DiskContentSchema>;

/** lsblk calls these disks too, but no operating system is installed on them. */
const notInstallable = /^(ram|zram|nbd|fd|sr|zd)\d/;

export function parseLsblk(text: string, extras: DiskExtras, includeLoop = false): Disk[] {
  const { blockdevices } = JSON.parse(text) as { blockdevices: Device[] };
  return blockdevices
    .filter(({ type, name, size }) => {
      if (!Number(size) || notInstallable.test(name)) return false;
      return type === "disk" || (includeLoop && type === "loop");
    })
    .map((device) => diskOf(device, extras));
}

function diskOf(device: Device, extras: DiskExtras): Disk {
  const name = device.kname ?? device.name;
  return create(DiskSchema, {
    name,
    model: clean(device.model),
    vendor: clean(device.vendor),
    serial: clean(device.serial) || (extras.serials.get(name) ?? ""),
    wwn: clean(device.wwn),
    hctl: clean(device.hctl),
    tran: clean(device.tran) || transportOf(device),
    sizeBytes: BigInt(device.size ?? 0),
    rotational: isSet(device.rota),
    removable: isSet(device.rm),
    readOnly: isSet(device.ro),
    logicalSectorBytes: Number(device["log-sec"] ?? 512),
    physicalSectorBytes: Number(device["phy-sec"] ?? 512),
    byId: extras.byId.get(name) ?? [],
    byPath: extras.byPath.get(name) ?? [],
    contents: contentsOf(device),
    bootMedium: isMounted(device, (point) => point === "/"),
    liveMedium: isMounted(device, (point) => liveMounts.test(point)),
    multipathMember:
      device.fstype === "mpath_member" || (device.children ?? []).some(({ type }) => type === "mpath"),
    tableType: clean(device.pttype),
  });
}

/** Where live systems of Debian, Ubuntu, Fedora and openSUSE have their medium. */
const liveMounts =
  /^\/(?:run\/live\/medium|lib\/live\/mount\/medium|cdrom|isodevice|run\/initramfs\/(?:live|isoscan))(?:\/|$)/;

/** A file system or RAID member on the whole disk is content too; it is named like its disk, without parent. */
function contentsOf(device: Device): Content[] {
  const found = new Map<string, Content>();
  // What is mounted holds something, also where nothing knows what.
  if (device.fstype || mountPoints(device).length) found.set(device.name, contentOf(device, ""));
  const visit = (parent: Device) => {
    for (const child of parent.children ?? []) {
      found.set(`${parent.name} ${child.name}`, contentOf(child, parent.name));
      visit(child);
    }
  };
  visit(device);
  return [...found.values()];
}

function contentOf(device: Device, parent: string): Content {
  return {
    name: device.name,
    type: device.type,
    sizeBytes: BigInt(device.size ?? 0),
    fsType: clean(device.fstype),
    label: clean(device.label) || clean(device.partlabel),
    uuid: clean(device.uuid),
    parent,
    mountPoints: mountPoints(device),
    fsLabel: clean(device.label),
    ...(device.type === "part" ? placeOf(device) : {}),
  };
}

/** lsblk counts in 512 bytes, whatever the disk's sectors are, and before 2.39 leaves out the number. */
function placeOf(device: Device): Content {
  return {
    partNumber: Number(device.partn ?? /(\d+)$/.exec(device.kname ?? device.name)?.[1] ?? 0),
    startBytes: BigInt(device.start ?? 0) * 512n,
    partType: clean(device.parttype),
    partName: clean(device.partlabel),
    partUuid: clean(device.partuuid),
    partFlags: clean(device.partflags),
  };
}

function isMounted(device: Device, wanted: (point: string) => boolean): boolean {
  return (
    mountPoints(device).some(wanted) || (device.children ?? []).some((child) => isMounted(child, wanted))
  );
}

function mountPoints({ mountpoints, mountpoint }: Device): string[] {
  return (mountpoints ?? [mountpoint]).filter((point) => typeof point === "string");
}

function isSet(flag: Flag | undefined): boolean {
  return flag === true || flag === "1";
}

function transportOf({ subsystems }: Device): string {
  return subsystems?.split(":").includes("virtio") ? "virtio" : "";
}

function clean(value: string | null | undefined): string {
  return value?.trim() ?? "";
}
