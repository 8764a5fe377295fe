// What ties disks of the plan to others, and what only looks like it.
import { expect, test } from "vitest";
import type { BlockNode } from "./block-tree.ts";
import { findNamesake, findSpanning, findSplitGroup, type Member } from "./foreign.ts";

const disk = (name: string, ...children: BlockNode[]): BlockNode => ({
  name,
  path: `/dev/${name}`,
  type: "disk",
  children: [{ name: `${name}1`, path: `/dev/${name}1`, type: "part", children }],
});
const array = { name: "md127", path: "/dev/md127", type: "raid1" };
const isOwn = ({ path }: Member) => path.startsWith("/dev/sda");

test("an array that runs on a disk of the plan and on another is refused", () => {
  const trees = [disk("sda", array), disk("sdb", array)];
  expect(findSpanning(trees, new Set(["/dev/sda"]))).toBe(
    "/dev/md127 lies on /dev/sda, which the plan uses, and on /dev/sdb, which it does not. Take it apart on the " +
      "node, or have the scheme use that disk too.",
  );
  expect(findSpanning(trees, new Set(["/dev/sda", "/dev/sdb"]))).toBeUndefined();
  expect(findSpanning(trees, new Set(["/dev/sdc"]))).toBeUndefined();
});

test("parts of something that does not run are refused as well", () => {
  const members = [
    { path: "/dev/sda3", group: "md array 12:34", part: "a" },
    { path: "/dev/sdb3", group: "md array 12:34", part: "b" },
  ];
  expect(findSplitGroup(members, isOwn)).toMatch(
    /^md array 12:34 has parts on \/dev\/sda3, which the plan uses, and on \/dev\/sdb3, which it does not/,
  );
  expect(findSplitGroup(members, () => true)).toBeUndefined();
  expect(findSplitGroup(members, () => false)).toBeUndefined();
});

test("a copy of a disk is whole without the one that is wiped, but not where its parts have no mark", () => {
  const members = [
    { path: "/dev/sda3", group: "volume group X", part: "pv-1" },
    { path: "/dev/sdb3", group: "volume group X", part: "pv-1" },
  ];
  expect(findSplitGroup(members, isOwn)).toBeUndefined();
  expect(
    findSplitGroup(
      members.map((member) => ({ ...member, part: "" })),
      isOwn,
    ),
  ).toContain("has parts on");
});

test("a group of a planned name is refused on another disk, not on one of the plan", () => {
  const member = (path: string) => ({ path, group: "volume group X", part: path, vgName: "vg0" });
  expect(findNamesake([member("/dev/sdb1")], isOwn, ["vg0"])).toMatch(
    /^the plan makes the volume group vg0, and \/dev\/sdb1.*vgrename/,
  );
  expect(findNamesake([member("/dev/sda1")], isOwn, ["vg0"])).toBeUndefined();
  expect(findNamesake([member("/dev/sdb1")], isOwn, ["vg1"])).toBeUndefined();
});
