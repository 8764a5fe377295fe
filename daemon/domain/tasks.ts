// The tasks that every deployed or released node goes through, and where tasks run.
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";

export const provisioningTasks = ["bootstrap", "partition", "image", "seed", "bootloader", "reboot"] as const;
export const releaseTasks = ["bootstrap", "wipe"] as const;

const ramdiskTasks: readonly string[] = [...provisioningTasks, ...releaseTasks];

/** Done in the ramdisk, before the node is what its role says. No config task may have such a name. */
export function isProvisioning(task: string): boolean {
  return ramdiskTasks.includes(task);
}

/** Nothing that was on the node's disks is there any more once it has begun. */
export function wipesDisks(task: string): boolean {
  return task === "partition" || task === "wipe";
}

/** Provisioning runs in the ramdisk, configuration in the installed system. */
export function environmentOf(task: string): Environment {
  return isProvisioning(task) ? Environment.BOOTSTRAP : Environment.INSTALLED;
}
