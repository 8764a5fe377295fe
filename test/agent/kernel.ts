// What the kernel that runs the tests can: some lack software RAID, the device mapper or file systems. Tests that
// need one say so with `describe.runIf`; a run on a kernel that has everything runs them all.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

export type KernelFeature = "md" | "dm" | "dm-crypt" | "dm-thin-pool" | "dm-raid" | "vfat" | "btrfs" | "xfs";

const modules: Record<KernelFeature, string> = {
  md: "raid1",
  dm: "dm-mod",
  "dm-crypt": "dm-crypt",
  "dm-thin-pool": "dm-thin-pool",
  "dm-raid": "dm-raid",
  vfat: "vfat",
  btrfs: "btrfs",
  xfs: "xfs",
};

/** Loads the module if there is one. */
export function kernelHas(...features: KernelFeature[]): boolean {
  return features.every((feature) => {
    try {
      execFileSync("modprobe", [modules[feature]], { stdio: "ignore" });
    } catch {
      // Built in, or not there at all: that is looked at next.
    }
    return isThere(feature);
  });
}

function isThere(feature: KernelFeature): boolean {
  switch (feature) {
    case "md":
      return existsSync("/proc/mdstat") && readFileSync("/proc/mdstat", "utf8").includes("raid1");
    case "dm":
      return targets() !== "";
    case "dm-crypt":
      return /^crypt /m.test(targets());
    case "dm-thin-pool":
      return /^thin-pool /m.test(targets());
    case "dm-raid":
      return /^raid /m.test(targets());
    default:
      return new RegExp(`\\s${feature}$`, "m").test(readFileSync("/proc/filesystems", "utf8"));
  }
}

function targets(): string {
  try {
    return execFileSync("dmsetup", ["targets"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return "";
  }
}
