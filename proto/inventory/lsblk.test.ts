// What older versions of lsblk write in other words.
import { describe, expect, it } from "vitest";
import { parseLsblk } from "./lsblk.ts";

function parse(device: object) {
  const extras = { byId: new Map(), byPath: new Map(), serials: new Map() };
  const [disk] = parseLsblk(JSON.stringify({ blockdevices: [device] }), extras);
  return disk;
}

describe("lsblk before 2.37", () => {
  it("has one mount point for each device", () => {
    const disk = parse({
      name: "sda",
      type: "disk",
      size: 100,
      mountpoint: null,
      children: [{ name: "sda1", type: "part", size: 50, fstype: "ext4", mountpoint: "/" }],
    });
    expect(disk?.contents[0]?.mountPoints).toEqual(["/"]);
    expect(disk?.bootMedium).toBe(true);
  });
});

describe("lsblk before 2.33", () => {
  const disk = (flags: string) =>
    parse({
      name: "sda",
      type: "disk",
      size: "107374182400",
      rota: flags,
      rm: flags,
      ro: flags,
      "log-sec": "4096",
      "phy-sec": "4096",
      children: [{ name: "sda1", type: "part", size: "1048576", start: "256", partn: "1" }],
    });

  it("writes numbers and flags as text", () => {
    expect(disk("0")).toMatchObject({
      sizeBytes: 107_374_182_400n,
      rotational: false,
      removable: false,
      readOnly: false,
      logicalSectorBytes: 4096,
      physicalSectorBytes: 4096,
    });
    expect(disk("1")).toMatchObject({ rotational: true, removable: true, readOnly: true });
    expect(disk("0")?.contents[0]).toMatchObject({
      partNumber: 1,
      startBytes: 131_072n,
      sizeBytes: 1_048_576n,
    });
  });

  it("has drives without a medium, which are no disks", () => {
    expect(parse({ name: "sda", type: "disk", size: "0" })).toBeUndefined();
  });
});
