// Step `seed`: mounts what was deployed and writes this machine's own files into it, for each operating system.
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { SeedStep } from "../../proto/gen/muster/v1/step_pb.ts";
import { wholeDiskOf } from "../../proto/plan/whole-disk.ts";
import type { Step, StepContext } from "../step.ts";
import { activate, machineStorage, requirePlan, type StorageOptions } from "../storage/activate.ts";
import { arrayDetail } from "../storage/arrays.ts";
import { type Devices, deviceOf, partitionPath } from "../storage/devices.ts";
import { uuidOf } from "../storage/filesystems.ts";
import { luksUuid } from "../storage/luks.ts";
import { type Mount, ownFilesystems, planMounts, withMounts } from "../storage/mounts.ts";
import { type OwnSystem, ownSystems } from "../storage/systems.ts";
import { exists } from "../storage/tables.ts";
import { type StorageContext, waitFor } from "../storage/wait.ts";
import { writeConfigDrives } from "./config-drive.ts";
import {
  type KeyFile,
  keyFiles,
  machineFiles,
  openedByFile,
  type SeedFacts,
  type SeedFile,
  storageFiles,
} from "./seed-files.ts";

/** What seeding one operating system needs. `root` and `imageRoot` are where it is mounted. */
type Target = {
  action: SeedStep;
  system: OwnSystem;
  devices: Devices;
  root: string;
  imageRoot: string;
  context: StepContext;
};

export const seed = createSeedStep();

export function createSeedStep(options: StorageOptions = machineStorage): Step<"seed"> {
  return async (action, context) => {
    const plan = requirePlan(action);
    const devices = await activate(plan, context, options);
    const root = options.mountPoint;
    const imageRoot = `${root}-image`;
    const systems = ownSystems(plan, action.systems);
    const seedOne = wholeDiskOf(plan) ? seedWholeDisk : seedSystem;
    let written = 0;
    for (const system of systems)
      written += await seedOne({ action, system, devices, root, imageRoot, context });
    const drives = await writeConfigDrives(plan, devices, action, imageRoot, context);
    const where = systems.length > 1 ? ` in ${systems.map(({ image }) => image.os).join(" and ")}` : "";
    const also = drives > 0 ? `; ${drives} config ${drives === 1 ? "drive" : "drives"}` : "";
    return `${written} files for ${action.hostname}${where}; cloud-init instance ${action.instanceId}${also}`;
  };
}

/** Gives the number of files. */
async function seedSystem({ action, system, devices, root, imageRoot, context }: Target): Promise<number> {
  const { plan, image } = system;
  const files = [
    ...storageFiles(await gatherFacts(plan, devices, context)),
    ...machineFiles(action, image.imageDigest, context.identity),
    ...keyFiles(await luksKeys(plan, context)),
  ];
  // Root once more by itself: what the image has below the mount points of the other file systems.
  const source = deviceOf(devices, plan.rootDevice);
  const mounts: Mount[] = [
    ...planMounts(plan, devices, root),
    { kind: "device", source, target: imageRoot, type: rootType(plan) },
  ];
  await withMounts(mounts, context, async () => {
    await moveContent(plan, imageRoot, root, context);
    await checkOpener(plan, root);
    await writeSeedFiles(files, root, context);
  });
  return files.length;
}

/** An image of a whole disk has its own idea of its file systems: nothing is written that is about those. */
async function seedWholeDisk({ action, system, devices, root, context }: Target): Promise<number> {
  const { plan, image } = system;
  const files = machineFiles(action, image.imageDigest, context.identity);
  const source = partitionPath(deviceOf(devices, plan.rootDevice), image.rootPartition);
  await waitFor(
    async () => ((await exists(source)) ? source : undefined),
    `there is no ${source}, which is / as the image's manifest says. Run the image step again.`,
    context.signal,
  );
  // Of what type it is, the image knows.
  await withMounts([{ kind: "device", source, target: root, type: "auto" }], context, async () => {
    if (!(await exists(join(root, "etc")))) {
      throw new Error(
        `${source} has no /etc, so it is not the image's /. Take an image that has / directly on a partition.`,
      );
    }
    await writeSeedFiles(files, root, context);
  });
  return files.length;
}

async function writeSeedFiles(
  files: (SeedFile | KeyFile)[],
  root: string,
  context: StorageContext,
): Promise<void> {
  for (const file of files) await writeSeedFile(root, file);
  // The mark of the bootstrap ramdisk; with it the installed agent would take itself for that.
  await rm(join(root, "/etc/muster/bootstrap"), { force: true });
  await context.run(["sync"], { signal: context.signal });
}

function rootType(plan: DiskPlan): string {
  const root = plan.fss.find(({ device }) => device === plan.rootDevice);
  if (!root) throw new Error("the plan has no file system for /. Plan again.");
  return root.type;
}

async function gatherFacts(plan: DiskPlan, devices: Devices, context: StorageContext): Promise<SeedFacts> {
  const uuids = new Map<string, string>();
  for (const fs of ownFilesystems(plan))
    uuids.set(fs.device, await uuidOf(deviceOf(devices, fs.device), context));
  const arrayUuids = new Map<string, string>();
  for (const md of plan.mds) {
    arrayUuids.set(md.name, (await arrayDetail(deviceOf(devices, `md/${md.name}`), context)).uuid);
  }
  const luksUuids = new Map<string, string>();
  for (const { name, device } of plan.luks) {
    luksUuids.set(name, await luksUuid(deviceOf(devices, device), context));
  }
  return { plan, uuids, arrayUuids, luksUuids };
}

async function luksKeys(
  plan: DiskPlan,
  { secrets, signal }: Pick<StepContext, "secrets" | "signal">,
): Promise<Map<string, Uint8Array>> {
  const keys = new Map<string, Uint8Array>();
  for (const { name, secret } of openedByFile(plan)) keys.set(name, await secrets(secret, signal));
  return keys;
}

/** A key file is no use to a system that does not look for it. */
async function checkOpener(plan: DiskPlan, root: string): Promise<void> {
  const [luks] = openedByFile(plan);
  if (!luks || (await exists(join(root, "/lib/systemd/systemd-cryptsetup")))) return;
  throw new Error(
    `the image cannot open luks ${luks.name} at boot. Add the package systemd-cryptsetup to its recipe.`,
  );
}

/** The image is one file system; where the scheme has another one for, say, /var, its content goes there. */
async function moveContent(
  plan: DiskPlan,
  imageRoot: string,
  root: string,
  { run, signal }: StorageContext,
): Promise<void> {
  for (const fs of ownFilesystems(plan)) {
    // An ESP holds no owners and modes, and the image has nothing there.
    if (fs.device === plan.rootDevice || !fs.mount || fs.type === "vfat") continue;
    const source = join(imageRoot, fs.mount);
    if (!(await exists(source))) continue;
    await run(["cp", "--archive", "--one-file-system", `${source}/.`, join(root, fs.mount)], { signal });
  }
}

async function writeSeedFile(root: string, file: SeedFile | KeyFile): Promise<void> {
  const path = join(root, file.path);
  await mkdir(dirname(path), { recursive: true });
  // Removed first: an image may have a link there, which would lead out of it.
  await rm(path, { force: true });
  await writeFile(path, file.content, { mode: file.mode, flag: "wx" });
  await chmod(path, file.mode);
}
