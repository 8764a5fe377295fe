// The order in which a disk in use is freed.
import { expect, test } from "vitest";
import { type BlockNode, planRelease } from "./release.ts";

function node(
  name: string,
  type: string,
  children: BlockNode[] = [],
  mountpoints: (string | null)[] = [null],
) {
  return { name, type, path: type === "lvm" ? `/dev/mapper/${name}` : `/dev/${name}`, mountpoints, children };
}

test("a mirror with volumes in use is freed from the top", () => {
  const array = node("md127", "raid1", [
    node("vg0-root", "lvm", [], ["/mnt/muster"]),
    node("vg0-data", "lvm", [], ["/mnt/muster/var/data"]),
    node("vg0-swap", "lvm", [], ["[SWAP]"]),
  ]);
  const disk = node("vda", "disk", [node("vda1", "part"), node("vda3", "part", [array])]);
  expect(planRelease(disk)).toEqual([
    { kind: "swapoff", device: "/dev/mapper/vg0-swap" },
    { kind: "umount", mountPoint: "/mnt/muster/var/data" },
    { kind: "umount", mountPoint: "/mnt/muster" },
    { kind: "deactivate", vg: "vg0" },
    { kind: "stop-array", device: "/dev/md127" },
  ]);
});

test("an empty disk needs nothing", () => {
  expect(planRelease(node("vda", "disk"))).toEqual([]);
});
