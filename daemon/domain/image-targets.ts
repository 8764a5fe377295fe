// Which image goes onto which device of a node: that of the role onto `/` or onto the whole disk, its further ones
// onto the file systems that they name. Pure.
import {
  DiskAction,
  type DiskPlan,
  type PlannedDisk,
  type PlannedFs,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { type Image, ImageKind } from "../../proto/gen/muster/v1/image_pb.ts";
import type { RoleSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { wholeDiskOf } from "../../proto/plan/whole-disk.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import type { State } from "./state.ts";

export type NodeImages = {
  /** What is written, in the order of the plan's file systems. What is kept gets no image: its content stays. */
  targets: { image: Image; device: string }[];
  /** What each operating system's `/` comes from, in the order of the plan's `systems`; one with `os` "" else. */
  systems: [SystemSource, ...SystemSource[]];
};
type SystemSource = { os: string; image: Image };
type Refused = { faults: string[] };

/** Marks the file systems that get an image in the plan. */
export function placeImages(state: State, role: RoleSpec, disks: DiskPlan): NodeImages | Refused {
  const disk = wholeDiskOf(disks);
  return disk ? placeOnDisk(state, role, disk) : placeOnFilesystems(state, role, disks);
}

function placeOnDisk(state: State, role: RoleSpec, disk: PlannedDisk): NodeImages | Refused {
  const image = state.image(role.image);
  if (!image) return { faults: [missing(role, role.image)] };
  const faults: string[] = [];
  if (image.kind !== ImageKind.DISK) {
    faults.push(
      `image ${image.name} holds one file system, and scheme ${role.scheme} is for an image of a whole disk: change one of them`,
    );
  } else if (image.rootPartition === 0) {
    faults.push(
      `no partition of image ${image.name} is known to be /, where this machine's name and key go: take an image that has / directly on a partition`,
    );
  }
  const device = `disk/${disk.selector}/${disk.index}`;
  if (disk.sizeBytes < image.sizeBytes) faults.push(tooSmall(image, device, disk.sizeBytes));
  if (role.images.length) {
    faults.push(`role ${role.name}: beside an image of a whole disk there is no room for further images`);
  }
  if (role.kernelParameters.length) {
    faults.push(
      `role ${role.name}: an image of a whole disk brings its own kernel parameters; remove kernel_parameters`,
    );
  }
  return faults.length ? { faults } : { targets: [{ image, device }], systems: [{ os: "", image }] };
}

function placeOnFilesystems(state: State, role: RoleSpec, disks: DiskPlan): NodeImages | Refused {
  const faults: string[] = [];
  const placed: { image: Image; fs: PlannedFs }[] = [];
  const wanted = [{ image: role.image, mount: "/", os: disks.systems[0]?.os ?? "" }, ...role.images];
  for (const { image: name, mount, os } of wanted) {
    const where = os ? `${mount} of ${os}` : mount;
    const image = state.image(name);
    const fs = disks.fss.find((fs) => fs.mount === mount && (fs.os.length === 0 || fs.os.includes(os)));
    if (!image) faults.push(missing(role, name));
    else if (!fs) faults.push(`role ${role.name}: image ${name} is for ${where}, which the scheme has not`);
    else if (placed.some((other) => other.fs === fs))
      faults.push(`role ${role.name}: ${where} has two images`);
    else {
      faults.push(...misfits(image, fs, disks));
      placed.push({ image, fs });
    }
  }
  const imageOf = (device: string) => placed.find(({ fs }) => fs.device === device)?.image;
  const roots = disks.systems.length ? disks.systems : [{ os: "", rootDevice: disks.rootDevice }];
  const systems: SystemSource[] = [];
  for (const { os, rootDevice } of roots) {
    const image = imageOf(rootDevice);
    if (image) systems.push({ os, image });
    else if (os)
      faults.push(
        `role ${role.name}: the scheme has the operating system ${os}, and no image is for it: ` +
          `add { image: NAME, mount: /, os: ${os} } to the role's images`,
      );
  }
  faults.push(...kernelFaults(systems, disks));
  const [first, ...others] = systems;
  if (faults.length || !first) return { faults };
  const written = placed.filter(({ fs }) => fs.action !== DiskAction.KEEP);
  if (!written.some(({ fs }) => fs.device === disks.rootDevice)) {
    const [where, remedy] = first.os
      ? [`/ of ${first.os}`, ", or name another operating system first"]
      : ["/", ""];
    return {
      faults: [
        `scheme ${role.scheme} keeps ${where}, and what is started must be installed: remove its keep_data${remedy}`,
      ],
    };
  }
  for (const { fs } of written) fs.fromImage = true;
  written.sort((a, b) => disks.fss.indexOf(a.fs) - disks.fss.indexOf(b.fs));
  const targets = written.map(({ image, fs }) => ({ image, device: fs.device }));
  return { targets, systems: [first, ...others] };
}

/** Each system must have a kernel, and keep it for itself. */
function kernelFaults(systems: SystemSource[], disks: DiskPlan): string[] {
  const faults = [...new Set(systems.map(({ image }) => image))]
    .filter(({ kernelVersion }) => kernelVersion === "")
    .map(
      ({ name }) =>
        `image ${name} has no kernel that is known, so it cannot be started: choose another for /`,
    );
  const bootOf = (os: string) =>
    disks.fss.find((fs) => fs.mount === "/boot" && (fs.os.length === 0 || fs.os.includes(os)));
  systems.forEach(({ os, image }, i) => {
    const rival = systems
      .slice(0, i)
      .find(
        (other) =>
          bootOf(os) !== undefined &&
          bootOf(os) === bootOf(other.os) &&
          image.kernelVersion === other.image.kernelVersion &&
          image.digest !== other.image.digest,
      );
    if (!rival) return;
    faults.push(
      `${rival.os} and ${os} share /boot and both have Linux ${image.kernelVersion}, so one would overwrite the ` +
        "other's files: give each a /boot of its own",
    );
  });
  return faults;
}

function misfits(image: Image, fs: PlannedFs, disks: DiskPlan): string[] {
  if (image.kind === ImageKind.DISK) {
    return [
      `image ${image.name} is that of a whole disk, ${fs.mount} is one file system: change the image, or choose a scheme with whole_disk`,
    ];
  }
  const faults: string[] = [];
  if (image.kind === ImageKind.FILESYSTEM && image.filesystem !== fs.type) {
    faults.push(
      `image ${image.name} holds ${image.filesystem}, the scheme wants ${fs.type} for ${fs.mount}: change one of them`,
    );
  }
  const size = deviceSize(disks, fs.device);
  if (size < image.sizeBytes) faults.push(tooSmall(image, fs.device, size));
  return faults;
}

function missing(role: RoleSpec, image: string): string {
  return `role ${role.name}: there is no image ${image}; build and register it`;
}

function tooSmall({ name, sizeBytes }: Image, device: string, size: bigint): string {
  return `image ${name} needs ${formatBytes(sizeBytes)}, but ${device} has only ${formatBytes(size)}`;
}

/** Bytes of `partition/S/I/NAME`, `md/NAME`, `lv/VG/NAME` or `luks/NAME` in a plan; 0 if it is not there. */
function deviceSize(plan: DiskPlan, device: string): bigint {
  const [kind, first, second, third] = device.split("/");
  if (kind === "lv") {
    return plan.lvs.find(({ vg, name }) => vg === first && name === second)?.sizeBytes ?? 0n;
  }
  if (kind === "luks") return plan.luks.find(({ name }) => name === first)?.sizeBytes ?? 0n;
  if (kind === "md") return plan.mds.find(({ name }) => name === first)?.sizeBytes ?? 0n;
  const disk = plan.disks.find(({ selector, index }) => selector === first && `${index}` === second);
  return disk?.partitions.find(({ name }) => name === third)?.sizeBytes ?? 0n;
}
