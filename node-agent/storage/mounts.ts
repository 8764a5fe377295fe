// Mounting a plan's file systems for as long as some work takes, and never longer.
import { mkdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { DiskPlan, PlannedFs } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { type Devices, deviceOf } from "./devices.ts";
import type { StorageContext } from "./wait.ts";

export type Mount =
  | { kind: "device"; source: string; target: string; type: string }
  | { kind: "bind"; source: string; target: string };

/** Those that the operating system on the plan's root device uses; a plan may have several systems. */
export function ownFilesystems(plan: DiskPlan): PlannedFs[] {
  const own = plan.systems.find(({ rootDevice }) => rootDevice === plan.rootDevice)?.os;
  return plan.fss.filter(({ os }) => own === undefined || os.length === 0 || os.includes(own));
}

/** The file systems of the plan below `mountPoint`: root first, then by depth. */
export function planMounts(plan: DiskPlan, devices: Devices, mountPoint: string): Mount[] {
  const depth = (path: string) => path.split("/").filter(Boolean).length;
  return ownFilesystems(plan)
    .filter((fs) => fs.mount.startsWith("/"))
    .sort((a, b) => depth(a.mount) - depth(b.mount))
    .map((fs) => ({
      kind: "device",
      source: deviceOf(devices, fs.device),
      target: resolve(mountPoint, `.${fs.mount}`),
      type: fs.type,
    }));
}

/** What programs of the installed system need of the running one. */
export function systemMounts(mountPoint: string): Mount[] {
  return ["/dev", "/proc", "/sys", "/run"].map((source) => ({
    kind: "bind",
    source,
    target: resolve(mountPoint, `.${source}`),
  }));
}

/** Mounts in order, does the work, and unmounts in reverse order whatever happened. */
export async function withMounts<T>(
  mounts: Mount[],
  context: StorageContext,
  work: () => Promise<T>,
): Promise<T> {
  const done: string[] = [];
  let result: T;
  try {
    for (const one of mounts) {
      await mkdir(one.target, { recursive: true });
      // Before it is tried: a bind mount that is there but not yet private must go, too.
      done.unshift(one.target);
      await mount(one, context);
    }
    result = await work();
  } catch (error) {
    await unmount(done, context).catch((second: unknown) => context.log(`unmounting: ${second}`));
    throw error;
  }
  await unmount(done, context);
  return result;
}

async function mount(one: Mount, { run, signal }: StorageContext): Promise<void> {
  if (one.kind === "device") {
    await run(["mount", "-t", one.type, one.source, one.target], { signal });
    return;
  }
  await run(["mount", "--rbind", one.source, one.target], { signal });
  // What is unmounted below the target must stay mounted at the source.
  await run(["mount", "--make-rslave", one.target], { signal });
}

/** Without the step's signal: a cancelled step has to unmount as well. */
async function unmount(targets: string[], { run }: StorageContext): Promise<void> {
  const mounted = new Set(mountPoints(await readFile("/proc/self/mountinfo", "utf8")));
  for (const target of targets) {
    if (mounted.has(target)) await run(["umount", "--recursive", target]);
  }
}

/** Unmounts everything at and below a directory. */
export async function unmountAll(directory: string, { run, signal }: StorageContext): Promise<void> {
  const all = mountPoints(await readFile("/proc/self/mountinfo", "utf8"));
  const within = all.filter((target) => target === directory || target.startsWith(`${directory}/`));
  for (const target of within.reverse()) await run(["umount", target], { signal });
}

/** The mount points of a mountinfo file, in the order of mounting. */
export function mountPoints(mountinfo: string): string[] {
  const decode = (path: string) =>
    path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return mountinfo
    .split("\n")
    .filter(Boolean)
    .map((line) => decode(line.split(" ")[4] ?? ""));
}
