// File systems of a plan: on which devices, which of them is root, and whether each has room to be made.
import { create } from "@bufbuild/protobuf";
import { type PlannedDisk, type PlannedFs, PlannedFsSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Fs, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { DeviceSizes } from "./disk-plan.ts";
import { formatBytes, mib } from "./size.ts";

export type FilesystemPlan = { fss: PlannedFs[]; rootDevice: string; kernelRoot: string };

/** Adds what has no room to `messages`. */
export function planFilesystems(
  scheme: SchemeSpec,
  disks: PlannedDisk[],
  expand: (device: string) => string[],
  sizes: DeviceSizes,
  messages: string[],
): FilesystemPlan {
  const fss = scheme.fss.flatMap((fs) => planFs(fs, expand(fs.device)));
  const sector = BigInt(Math.max(512, ...disks.map(({ logicalSectorBytes }) => logicalSectorBytes)));
  for (const { device, type, copies } of fss) {
    for (const place of [device, ...copies]) {
      const size = sizes.get(place) ?? 0n;
      const least = leastBytes(type, sector);
      // A size of 0 has been refused where it came from.
      if (size === 0n || size >= least) continue;
      messages.push(
        `${place} has ${formatBytes(size)}, but ${type} needs ${formatBytes(least)}; make it larger`,
      );
    }
  }
  const rootDevice = fss.find(({ mount }) => mount === "/")?.device ?? "";
  return { fss, rootDevice, kernelRoot: kernelRootOf(rootDevice) };
}

// Swap is made on every device of its own; any other file system is on the first, and the others are copies,
// which the scheme's check allows for ESPs alone.
function planFs({ type, mount, label, options }: Fs, devices: string[]): PlannedFs[] {
  if (type === "swap")
    return devices.map((device) => create(PlannedFsSchema, { device, type, label, options }));
  const [device = "", ...copies] = devices;
  return [create(PlannedFsSchema, { device, type, mount, label, options, copies })];
}

/** What mkfs wants: FAT32 has at least 65525 clusters of a sector, xfs since 5.19 at least 300 MiB. */
function leastBytes(type: string, sector: bigint): bigint {
  switch (type) {
    case "xfs":
      return 300n * mib;
    case "vfat":
      return 66_560n * sector;
    case "ext4":
      return 8n * mib;
    default:
      return mib;
  }
}

// A volume has the same name in every boot. Arrays and partitions do not: their root is found by UUID, for which
// this is empty.
function kernelRootOf(device: string): string {
  const [kind, vg = "", lv = ""] = device.split("/");
  if (kind !== "lv") return "";
  return `/dev/mapper/${vg.replaceAll("-", "--")}-${lv.replaceAll("-", "--")}`;
}
