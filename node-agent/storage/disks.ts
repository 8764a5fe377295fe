// Which disk of this machine is which disk of a plan: by serial and wwn, never by the kernel's name.
import { readFile } from "node:fs/promises";
import type { DiskPlan, PlannedDisk } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Runner } from "../runner.ts";

export type MachineDisk = {
  path: string;
  sizeBytes: bigint;
  serial: string;
  wwn: string;
  model: string;
  sectorBytes: number;
};

/** Lists the disks of the machine. Tests pass their own, as loop devices show no serial. */
export type DiskFinder = (run: Runner, signal: AbortSignal) => Promise<MachineDisk[]>;

type LsblkDisk = {
  name: string;
  type: string;
  size: number;
  serial: string | null;
  wwn: string | null;
  model: string | null;
  "log-sec": number;
};

export const lsblkDisks: DiskFinder = async (run, signal) => {
  const columns = "NAME,TYPE,SIZE,SERIAL,WWN,MODEL,LOG-SEC";
  const { stdout } = await run(["lsblk", "-J", "-b", "-d", "-o", columns], { signal });
  const { blockdevices } = JSON.parse(stdout) as { blockdevices: LsblkDisk[] };
  return Promise.all(blockdevices.filter((device) => device.type === "disk").map(machineDisk));
};

async function machineDisk(device: LsblkDisk): Promise<MachineDisk> {
  return {
    path: `/dev/${device.name}`,
    sizeBytes: BigInt(device.size),
    // lsblk has the serial from udev; virtio disks show it in sysfs even where udev has not seen them.
    serial: (device.serial ?? (await sysfsSerial(device.name))).trim(),
    wwn: (device.wwn ?? "").trim(),
    model: (device.model ?? "").trim(),
    sectorBytes: device["log-sec"],
  };
}

async function sysfsSerial(name: string): Promise<string> {
  try {
    return await readFile(`/sys/block/${name}/serial`, "utf8");
  } catch {
    return ""; // most drivers have no such file
  }
}

/** The machine's disk for every disk of the plan, by `SELECTOR/INDEX`. Refuses what is not certain. */
export function matchDisks(plan: DiskPlan, disks: MachineDisk[]): Map<string, MachineDisk> {
  const matched = new Map<string, MachineDisk>();
  for (const planned of plan.disks) {
    const disk = matchDisk(planned, disks);
    if ([...matched.values()].includes(disk)) {
      throw new Error(`${describe(planned)}: ${disk.path} is another disk of the plan already. Plan again.`);
    }
    matched.set(diskKey(planned), disk);
  }
  return matched;
}

export function diskKey(planned: PlannedDisk): string {
  return `${planned.selector}/${planned.index}`;
}

function matchDisk(planned: PlannedDisk, disks: MachineDisk[]): MachineDisk {
  const matching = disks.filter(
    (disk) =>
      (planned.serial || planned.wwn) &&
      (!planned.serial || planned.serial === disk.serial) &&
      (!planned.wwn || planned.wwn === disk.wwn),
  );
  const [disk] = matching;
  if (!disk || matching.length > 1) {
    const found = disk ? `${matching.length} disks match` : "no disk matches";
    const remedy = "Take the inventory again and plan again.";
    throw new Error(`${describe(planned)}: ${found}. The machine has ${list(disks)}. ${remedy}`);
  }
  if (disk.sizeBytes !== planned.sizeBytes) {
    throw new Error(
      `${describe(planned)}: ${disk.path} has ${disk.sizeBytes} bytes, the plan was made for ` +
        `${planned.sizeBytes}. The machine has ${list(disks)}. Take the inventory again and plan again.`,
    );
  }
  if (planned.logicalSectorBytes && disk.sectorBytes !== planned.logicalSectorBytes) {
    throw new Error(
      `${describe(planned)}: ${disk.path} has sectors of ${disk.sectorBytes} bytes, the plan was made for ` +
        `${planned.logicalSectorBytes}. Plan again.`,
    );
  }
  return disk;
}

function describe(planned: PlannedDisk): string {
  const marks = [planned.serial && `serial ${planned.serial}`, planned.wwn && `wwn ${planned.wwn}`];
  return `disk ${diskKey(planned)} (${marks.filter(Boolean).join(", ") || "no serial or wwn"})`;
}

function list(disks: MachineDisk[]): string {
  const one = (disk: MachineDisk) =>
    `${disk.path} (serial ${disk.serial || "-"}, wwn ${disk.wwn || "-"}, ${disk.sizeBytes} bytes)`;
  return disks.map(one).join("; ") || "no disks";
}
