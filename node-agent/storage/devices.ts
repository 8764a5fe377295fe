// The names that a plan has for devices (`partition/SELECTOR/INDEX/NAME`, `md/NAME`, `lv/VG/NAME`) and the
// device nodes that they are on this machine now.
import { basename } from "node:path";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { diskKey, type MachineDisk } from "./disks.ts";

export type Devices = ReadonlyMap<string, string>;

export function deviceOf(devices: Devices, name: string): string {
  const path = devices.get(name);
  if (!path) throw new Error(`the plan refers to ${name}, which it does not define. Plan again.`);
  return path;
}

/** The node of every partition of the plan. */
export function partitionDevices(
  plan: DiskPlan,
  disks: ReadonlyMap<string, MachineDisk>,
): Map<string, string> {
  const devices = new Map<string, string>();
  for (const planned of plan.disks) {
    const disk = deviceOfDisk(disks, diskKey(planned));
    for (const partition of planned.partitions) {
      const name = `partition/${diskKey(planned)}/${partition.name}`;
      devices.set(name, partitionPath(disk.path, partition.number));
    }
  }
  return devices;
}

export function deviceOfDisk(disks: ReadonlyMap<string, MachineDisk>, key: string): MachineDisk {
  const disk = disks.get(key);
  if (!disk) throw new Error(`the plan refers to disk ${key}, which it does not define. Plan again.`);
  return disk;
}

/** /dev/sda 1 is /dev/sda1, /dev/nvme0n1 1 is /dev/nvme0n1p1. */
export function partitionPath(disk: string, number: number): string {
  return /\d$/.test(disk) ? `${disk}p${number}` : `${disk}${number}`;
}

/** Device-mapper doubles the hyphens within names. */
export function logicalVolumePath(vg: string, lv: string): string {
  return `/dev/mapper/${vg.replaceAll("-", "--")}-${lv.replaceAll("-", "--")}`;
}

/** The volume group of a device-mapper name such as vg0-root. */
export function volumeGroupOf(mapperName: string): string {
  const [, vg] = /^((?:[^-]|--)+)-(?:[^-]|--)/.exec(mapperName) ?? [];
  return (vg ?? mapperName).replaceAll("--", "-");
}

export function kernelName(path: string): string {
  return basename(path);
}
