// The order in which a disk in use is freed.
import { expect, test } from "vitest";
import type { BlockNode } from "./block-tree.ts";
import { planRelease } from "./release.ts";

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
  const disks = ["vda", "vdb"].map((name) =>
    node(name, "disk", [node(`${name}1`, "part"), node(`${name}3`, "part", [array])]),
  );
  expect(planRelease(disks)).toEqual([
    { kind: "swapoff", device: "/dev/mapper/vg0-swap" },
    { kind: "umount", mountPoint: "/mnt/muster/var/data" },
    { kind: "umount", mountPoint: "/mnt/muster" },
    { kind: "remove-mapping", name: "vg0-root" },
    { kind: "remove-mapping", name: "vg0-data" },
    { kind: "remove-mapping", name: "vg0-swap" },
    { kind: "stop-array", device: "/dev/md127" },
  ]);
});

test("what lies on what is undone in that order, whatever it is", () => {
  const crypt = { ...node("secret", "crypt"), path: "/dev/mapper/secret" };
  const volume = { ...node("vg0-data", "lvm", [node("md5", "raid0", [crypt])]) };
  const path = { ...node("mpatha", "mpath", [volume]), path: "/dev/mapper/mpatha" };
  expect(planRelease([node("sda", "disk", [path]), node("sdb", "disk", [path])])).toEqual([
    { kind: "remove-mapping", name: "secret" },
    { kind: "stop-array", device: "/dev/md5" },
    { kind: "remove-mapping", name: "vg0-data" },
    { kind: "remove-mapping", name: "mpatha" },
  ]);
});

test("an empty disk needs nothing", () => {
  expect(planRelease([node("vda", "disk")])).toEqual([]);
});
