// Restarts the machine. The step itself only says that it will: the reboot comes when the daemon has the
// step's result, and what came of it is shown by the next session's hello.
import { writeFile } from "node:fs/promises";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import type { Runner } from "../runner.ts";
import type { Step } from "../step.ts";

export const reboot: Step<"reboot"> = async ({ hostname, rootDevice }, { run, log }) => {
  await run(["sync"]);
  const root = rootDevice ? ` with root ${rootDevice}` : "";
  if (hostname) log(`the machine reboots; it should come back as ${hostname}${root}`);
  return "the reboot was started";
};

/** Does not return before the kernel goes down, unless that fails. */
export async function rebootMachine(environment: Environment, run: Runner): Promise<void> {
  if (environment === Environment.INSTALLED) {
    await run(["systemctl", "reboot"]);
    return;
  }
  await run(["sync"]);
  try {
    await run(["reboot", "-f"], { timeoutMs: 10_000 });
  } catch {
    // The ramdisk's init may be unable to; the kernel is not.
    await writeFile("/proc/sysrq-trigger", "b");
  }
}
