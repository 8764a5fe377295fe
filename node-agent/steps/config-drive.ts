// A config drive: the machine's own settings on a partition that OpenStack's images look for. Beside the seed in
// the root file system, for images whose cloud-init reads nothing else.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SeedStep } from "../../proto/gen/muster/v1/step_pb.ts";
import { type Devices, deviceOf } from "../storage/devices.ts";
import { withMounts } from "../storage/mounts.ts";
import { partitionName } from "../storage/table-changes.ts";
import type { StorageContext } from "../storage/wait.ts";
import { type SeedFile, userData } from "./seed-files.ts";

/** cloud-init finds the drive by this label, in either case. */
const label = "CONFIG-2";

/** Paths are from the drive's root. */
export function configDriveFiles(step: SeedStep): Pick<SeedFile, "path" | "content">[] {
  const link = { id: "lan0", type: "phy", ethernet_mac_address: step.mac.toLowerCase() };
  const network = { id: "network0", type: "ipv4_dhcp", link: "lan0", network_id: "lan0" };
  const json = (value: object) => `${JSON.stringify(value, null, 1)}\n`;
  const directory = "openstack/latest";
  return [
    {
      path: `${directory}/meta_data.json`,
      content: json({ uuid: step.instanceId, hostname: step.hostname }),
    },
    {
      path: `${directory}/network_data.json`,
      content: json({ links: [link], networks: [network], services: [] }),
    },
    { path: `${directory}/user_data`, content: userData(step) },
  ];
}

/** Makes the drives that the plan asks for; gives their number. `mountPoint` is free. */
export async function writeConfigDrives(
  plan: DiskPlan,
  devices: Devices,
  step: SeedStep,
  mountPoint: string,
  context: StorageContext,
): Promise<number> {
  const drives = plan.disks.flatMap((planned) =>
    planned.partitions
      .filter(({ configdrive }) => configdrive)
      .map((partition) => deviceOf(devices, partitionName(planned, partition))),
  );
  for (const source of drives) {
    await context.run(["mkfs.vfat", "-n", label, source], { signal: context.signal });
    const mount = { kind: "device", source, target: mountPoint, type: "vfat" } as const;
    await withMounts([mount], context, async () => {
      for (const { path, content } of configDriveFiles(step)) {
        await mkdir(dirname(join(mountPoint, path)), { recursive: true });
        await writeFile(join(mountPoint, path), content);
      }
    });
  }
  return drives.length;
}
