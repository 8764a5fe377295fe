// Sizes of volume groups and logical volumes, in whole extents.
import { create } from "@bufbuild/protobuf";
import {
  type PlannedLv,
  PlannedLvSchema,
  type PlannedMd,
  type PlannedVg,
  PlannedVgSchema,
} from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { extentBytes, physicalVolumeSize, stripeBytes } from "./array-size.ts";
import type { DeviceSizes } from "./disk-plan.ts";
import { divide } from "./divide.ts";

/** Adds the logical volumes to `sizes`, and what does not fit to `messages`. */
export function planVolumes(
  scheme: SchemeSpec,
  mds: PlannedMd[],
  expand: (device: string) => string[],
  sizes: DeviceSizes,
  messages: string[],
): { vgs: PlannedVg[]; lvs: PlannedLv[] } {
  const stripes = new Map(
    mds.map(({ name, level, devices }) => [`md/${name}`, stripeBytes(level, devices.length)]),
  );
  const vgs = scheme.vgs.map((vg) => {
    const devices = vg.devices.flatMap(expand);
    const sizeBytes = devices.reduce(
      (sum, device) => sum + physicalVolumeSize(sizes.get(device) ?? 0n, stripes.get(device) ?? 0n),
      0n,
    );
    return create(PlannedVgSchema, { name: vg.name, devices, extentBytes, sizeBytes });
  });
  for (const { name, sizeBytes } of vgs) {
    const parts = scheme.lvs.filter(({ vg }) => vg === name);
    const divided = divide(parts, sizeBytes, extentBytes);
    if (!divided.ok) messages.push(`volume group ${name}: ${divided.message}`);
    parts.forEach((part, index) => {
      sizes.set(`lv/${name}/${part.name}`, divided.ok ? (divided.sizes[index] ?? 0n) : 0n);
    });
  }
  const lvs = scheme.lvs.map(({ name, vg }) =>
    create(PlannedLvSchema, { name, vg, sizeBytes: sizes.get(`lv/${vg}/${name}`) ?? 0n }),
  );
  return { vgs, lvs };
}
