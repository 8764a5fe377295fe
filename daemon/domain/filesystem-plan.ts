// File systems of a plan: on which devices, which of them is root, and whether each has room to be made.
import { create } from "@bufbuild/protobuf";
import {
  DiskAction,
  type PlannedFs,
  PlannedFsSchema,
  PlannedSystemSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Fs, SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import type { Planning } from "./planning.ts";
import { systemsOf } from "./scheme-systems.ts";
import { mib } from "./size.ts";

export function planFilesystems(scheme: SchemeSpec, planning: Planning): void {
  const { plan, names, sizes } = planning;
  plan.fss = scheme.fss.flatMap((fs) => planFs(fs, names.expand(fs.device), planning));
  const sector = BigInt(Math.max(512, ...plan.disks.map(({ logicalSectorBytes }) => logicalSectorBytes)));
  for (const { device, type, copies, action } of plan.fss) {
    if (action === DiskAction.KEEP) continue;
    for (const place of [device, ...copies]) {
      const size = sizes.get(place) ?? 0n;
      const least = leastBytes(type, sector);
      // A size of 0 has been refused where it came from.
      if (size === 0n || size >= least) continue;
      planning.refuse(
        `${place} has ${formatBytes(size)}, but ${type} needs ${formatBytes(least)}; make it larger`,
      );
    }
  }
  const systems = systemsOf(scheme);
  const roots = (systems.length ? systems : [""]).map((os) => {
    const root = plan.fss.find((fs) => fs.mount === "/" && (fs.os.length === 0 || fs.os.includes(os)));
    return { os, rootDevice: root?.device ?? "", kernelRoot: kernelRootOf(root?.device ?? "") };
  });
  plan.rootDevice = roots[0]?.rootDevice ?? "";
  plan.kernelRoot = roots[0]?.kernelRoot ?? "";
  plan.systems = systems.length ? roots.map((root) => create(PlannedSystemSchema, root)) : [];
}

// Swap is made on every device of its own; any other file system is on the first, and the others are copies,
// which the scheme's check allows for ESPs alone.
function planFs(fs: Fs, devices: string[], { kept }: Planning): PlannedFs[] {
  const { type, mount, label, options, mkfsOptions, noFstab, os, keepData } = fs;
  const make = (device: string, copies: string[]) =>
    create(PlannedFsSchema, {
      device,
      type,
      mount,
      label,
      options,
      copies,
      mkfsOptions,
      noFstab,
      os,
      action: keepData && kept.has(device) ? DiskAction.KEEP : DiskAction.CREATE,
    });
  if (type === "swap") return devices.map((device) => make(device, []));
  const [device = "", ...copies] = devices;
  return [make(device, copies)];
}

/** What mkfs wants: FAT32 has at least 65525 clusters of a sector, xfs since 5.19 at least 300 MiB. */
function leastBytes(type: string, sector: bigint): bigint {
  switch (type) {
    case "xfs":
      return 300n * mib;
    case "btrfs":
      return 128n * mib;
    case "vfat":
      return 66_560n * sector;
    case "ext2":
    case "ext3":
    case "ext4":
      return 8n * mib;
    default:
      return mib;
  }
}

// A volume and an encrypted device have the same name in every boot. Arrays and partitions do not: their root is
// found by UUID, for which this is empty.
function kernelRootOf(device: string): string {
  const [kind, first = "", second = ""] = device.split("/");
  if (kind === "luks") return `/dev/mapper/${first}`;
  if (kind !== "lv") return "";
  return `/dev/mapper/${first.replaceAll("-", "--")}-${second.replaceAll("-", "--")}`;
}
