// The tasks that every deployed node goes through before its own, and where tasks run.
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";

export const provisioningTasks = ["bootstrap", "partition", "image", "seed", "bootloader", "reboot"] as const;

export function isProvisioning(task: string): boolean {
  return provisioningTasks.some((name) => name === task);
}

/** Provisioning runs in the ramdisk, configuration in the installed system. */
export function environmentOf(task: string): Environment {
  return isProvisioning(task) ? Environment.BOOTSTRAP : Environment.INSTALLED;
}
