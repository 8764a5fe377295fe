// What the kernel and the disks show of a plan's devices after they were made.
import { DiskAction, type DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { formatBytes } from "../../proto/render/bytes.ts";
import { imageDevices } from "./applied.ts";
import { arrayDetail, arrayDifference, findArray, membersOf } from "./arrays.ts";
import { sizeOf } from "./device-size.ts";
import { type Devices, deviceOf } from "./devices.ts";
import { filesystemDifference, readSignatures } from "./filesystems.ts";
import { luksUuid } from "./luks.ts";
import type { StorageContext } from "./wait.ts";

export type StorageFacts = {
  /** The state of each array, such as "[UU]", in the order of the plan. */
  arrays: string[];
  /** The UUIDs that are on the devices, by what they are and the devices' names in the plan. */
  uuids: [what: string, uuid: string][];
};

/** Throws where a device is not what the plan says. */
export async function verifyStorage(
  plan: DiskPlan,
  devices: Devices,
  context: StorageContext,
): Promise<StorageFacts> {
  const facts: StorageFacts = { arrays: [], uuids: [] };
  for (const md of plan.mds) {
    const path = deviceOf(devices, `md/${md.name}`);
    const array = await findArray(membersOf(md, devices));
    if (array?.path !== path || array.level !== `raid${md.level}` || !array.complete) {
      const shown = array ? `${array.path} is ${array.level} and ${array.state}` : "it does not run";
      throw new Error(`md ${md.name}: ${shown}, not a complete raid${md.level} on ${path}. Retry the step.`);
    }
    const size = await sizeOf(path);
    if (size < md.sizeBytes) {
      throw new Error(
        `md ${md.name}: ${path} has ${size} bytes, the plan counts on ${md.sizeBytes}. Plan again.`,
      );
    }
    const detail = await arrayDetail(path, context);
    const difference = arrayDifference(md, detail);
    if (difference) throw new Error(`${difference}, which is not what the plan says. Retry the step.`);
    facts.arrays.push(`[${"U".repeat(md.devices.length)}]`);
    facts.uuids.push([`md/${md.name}`, detail.uuid]);
  }
  for (const { name, device } of plan.luks) {
    facts.uuids.push([`luks/${name}`, await luksUuid(deviceOf(devices, device), context)]);
  }
  for (const lv of plan.lvs.filter(({ type }) => type !== "thin_pool")) {
    const path = deviceOf(devices, `lv/${lv.vg}/${lv.name}`);
    const size = await sizeOf(path);
    if (size !== lv.sizeBytes) {
      throw new Error(`${path} has ${size} bytes, the plan says ${lv.sizeBytes}. Plan again.`);
    }
  }
  const imaged = imageDevices(plan);
  const made = plan.fss
    .filter((fs) => fs.action === DiskAction.KEEP || !imaged.includes(fs.device))
    .flatMap((fs) => [fs.device, ...fs.copies].map((name) => ({ fs, name, path: deviceOf(devices, name) })));
  const signatures = await readSignatures(
    made.map(({ path }) => path),
    context,
  );
  for (const { fs, name, path } of made) {
    const found = signatures.get(path);
    const difference = found && filesystemDifference(fs, name, found);
    if (difference) throw new Error(`${difference}. Retry the step.`);
    facts.uuids.push([`${fs.type} ${name}`, found?.uuid ?? ""]);
  }
  return facts;
}

/** "2 disks: gpt bios+esp+os; md os raid1 [UU]; vg0: root 3 GiB, swap 256 MiB". */
export function describeStorage(plan: DiskPlan, facts: Pick<StorageFacts, "arrays">): string {
  const layouts = plan.disks.map(
    (disk) => `${disk.label || "gpt"} ${disk.partitions.map((partition) => partition.name).join("+")}`,
  );
  const disks = `${plan.disks.length} ${plan.disks.length === 1 ? "disk" : "disks"}`;
  const arrays = plan.mds.map((md, index) => `md ${md.name} raid${md.level} ${facts.arrays[index] ?? ""}`);
  const luks = plan.luks.map(({ name, type }) => `${type || "luks2"} ${name}`);
  const groups = plan.vgs.map((vg) => {
    const volumes = plan.lvs.filter((lv) => lv.vg === vg.name);
    return `${vg.name}: ${volumes.map((lv) => `${lv.name} ${formatBytes(lv.sizeBytes)}`).join(", ")}`;
  });
  return [`${disks}: ${[...new Set(layouts)].join(" and ")}`, ...arrays, ...luks, ...groups].join("; ");
}

/** "UUIDs: md/os 1234:..., lv/vg0/swap 5678-...". */
export function describeIdentifiers({ uuids }: Pick<StorageFacts, "uuids">): string {
  return `UUIDs: ${uuids.map(([what, uuid]) => `${what} ${uuid}`).join(", ") || "none"}`;
}
