// Which disks are taken, and which are refused.
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Runner } from "../runner.ts";
import { partitionDevices, partitionPath, volumeGroupOf } from "./devices.ts";
import { lsblkDisks, type MachineDisk, matchDisks } from "./disks.ts";

const a: MachineDisk = {
  path: "/dev/sda",
  sizeBytes: 100n,
  serial: "S1",
  wwn: "0x1",
  model: "m",
  sectorBytes: 512,
};
const b: MachineDisk = { ...a, path: "/dev/nvme0n1", serial: "S2", wwn: "" };

function plan(...disks: object[]) {
  return create(DiskPlanSchema, {
    disks: disks.map((disk, index) => ({
      selector: "os",
      index,
      sizeBytes: 100n,
      partitions: [{ number: 2, name: "root" }],
      ...disk,
    })),
  });
}

describe("matchDisks", () => {
  test("finds disks by what they show, whatever the kernel calls them", () => {
    const matched = matchDisks(plan({ serial: "S2", lastName: "sda" }, { serial: "S1", wwn: "0x1" }), [a, b]);
    expect([...matched].map(([key, disk]) => [key, disk.path])).toEqual([
      ["os/0", "/dev/nvme0n1"],
      ["os/1", "/dev/sda"],
    ]);
  });

  test.each([
    [
      "none",
      { serial: "S9" },
      [a, b],
      "disk os/0 (serial S9): no disk matches. The machine has /dev/sda (serial S1",
    ],
    ["a serial with another wwn", { serial: "S1", wwn: "0x2" }, [a], "no disk matches"],
    ["two", { serial: "S1" }, [a, { ...a, path: "/dev/sdz" }], "2 disks match"],
    [
      "another size",
      { serial: "S1", sizeBytes: 99n },
      [a],
      "/dev/sda has 100 bytes, the plan was made for 99",
    ],
    ["other sectors", { serial: "S1", logicalSectorBytes: 4096 }, [a], "has sectors of 512 bytes"],
    ["no mark at all", {}, [{ ...a, serial: "", wwn: "" }], "no serial or wwn): no disk matches"],
    ["an empty machine", { serial: "S1" }, [], "The machine has no disks"],
  ])("refuses %s", (_, disk, disks, message) => {
    expect(() => matchDisks(plan(disk), disks)).toThrow(message);
  });

  test("refuses one disk for two of the plan", () => {
    expect(() => matchDisks(plan({ serial: "S1" }, { wwn: "0x1" }), [a])).toThrow(
      "is another disk of the plan",
    );
  });
});

test("lsblkDisks leaves out what is no disk and trims what firmware pads", async () => {
  const blockdevices = [
    { name: "sda", type: "disk", size: 10, serial: " S1  ", wwn: null, model: "M  ", "log-sec": 4096 },
    { name: "sr0", type: "rom", size: 10, serial: "X", wwn: null, model: null, "log-sec": 2048 },
  ];
  const run: Runner = async () => ({ code: 0, stdout: JSON.stringify({ blockdevices }), stderr: "" });
  expect(await lsblkDisks(run, new AbortController().signal)).toEqual([
    { path: "/dev/sda", sizeBytes: 10n, serial: "S1", wwn: "", model: "M", sectorBytes: 4096 },
  ]);
});

test("names of devices", () => {
  expect(partitionPath("/dev/sda", 3)).toBe("/dev/sda3");
  expect(partitionPath("/dev/nvme0n1", 3)).toBe("/dev/nvme0n1p3");
  const planned = plan({ serial: "S1" });
  expect([...partitionDevices(planned, matchDisks(planned, [a]))]).toEqual([
    ["partition/os/0/root", "/dev/sda2"],
  ]);
  expect(volumeGroupOf("vg0-root")).toBe("vg0");
  expect(volumeGroupOf("my--vg-a--b")).toBe("my-vg");
});
