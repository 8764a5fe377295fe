// What a plan puts on partitions, in words: arrays, encrypted devices, volumes and file systems.
import type { DiskAction, DiskPlan } from "../gen/muster/v1/disk_plan_pb.ts";
import { formatBytes } from "./bytes.ts";

/** `name` and `device` are as in the plan; the size is empty for a file system, `device` for all others. */
export type DeviceRow = { action: DiskAction; name: string; size: string; what: string; device: string };

export function deviceRows({ mds, luks, vgs, lvs, fss }: DiskPlan): DeviceRow[] {
  const row = (action: DiskAction, name: string, sizeBytes: bigint, what: string): DeviceRow => ({
    action,
    name,
    size: formatBytes(sizeBytes),
    what,
    device: "",
  });
  return [
    ...mds.map(({ name, level, devices, spares, sizeBytes, action }) => {
      const spare = spares.length ? `, spare ${spares.join(", ")}` : "";
      return row(action, `md/${name}`, sizeBytes, `RAID${level} of ${devices.join(", ")}${spare}`);
    }),
    ...luks.map(({ name, device, secret, sizeBytes, action }) =>
      row(action, `luks/${name}`, sizeBytes, `encrypted ${device}, opened by secret ${secret}`),
    ),
    ...vgs.map(({ name, devices, sizeBytes, action }) =>
      row(action, `vg/${name}`, sizeBytes, `volume group on ${devices.join(", ")}`),
    ),
    ...lvs.map(({ name, vg, sizeBytes, type, action }) => {
      const kind = !type || type === "linear" ? "logical" : type.replace("_", " ");
      return row(action, `lv/${vg}/${name}`, sizeBytes, `${kind} volume`);
    }),
    ...fss.map(({ device, type, mount, copies, os, action }) => {
      const copied = copies.length ? `, copied to ${copies.join(", ")}` : "";
      const system = os.length ? ` of ${os.join(", ")}` : "";
      const what = `${type} on ${device}${copied}${system}`;
      return { action, name: `fs ${mount || type}`, size: "", what, device };
    }),
  ];
}
