import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { PlanSchema } from "../proto/gen/muster/v1/deployment_pb.ts";
import { waves } from "./plan-order.ts";
import { lossLines, planLines } from "./plan-text.ts";
import { plan } from "./testing/plan.ts";

describe("plan", () => {
  it("shows what is destroyed and created on a node, and the order of the graph", () => {
    const [first] = plan.nodes;
    const one = create(PlanSchema, { ...plan, nodes: first ? [first] : [] });
    expect(
      planLines(one)
        .map(({ text }) => text)
        .join("\n"),
    ).toMatchInlineSnapshot(`
      "Plan for cluster demo: 1 node, 21 steps
      Disks before and after: x destroyed   = stays   + new

      n1  role controller, host name n1, scheme mirrored
        image debian-12 sha256 4f1c9a0e4f1c9a0e4f1c9a0e4f1c9a0e4f1c9a0e4f1c9a0e4f1c9a0e4f1c9a0e
        system/0, serial n1-A, QEMU DISK, now vda, 20 GiB
          before |xxxxxxxxxxxxxxxxxxxxxxxx vda1 old ext4 xxxxxxxxxxxxxxxxxxxxxxxx|   |
          after  |+|++++++++++++++++++++++++++ os RAID1 os ++++++++++++++++++++++++++|
        system/1, serial n1-B, QEMU DISK, now vdb, 20 GiB
          before |                               free                                |
          after  |+|++++++++++++++++++++++++++ os RAID1 os ++++++++++++++++++++++++++|
        destroyed
          disk serial n1-A QEMU DISK, 20 GiB, now vda
            partition vda1, 19 GiB, ext4 "old"
          disk serial n1-B QEMU DISK, 20 GiB, now vdb
            nothing: the disk is empty
        created
          partition/system/0/bios  1 MiB     partition 1 of n1-A, BIOS boot
          partition/system/0/os    19.9 GiB  partition 2 of n1-A, RAID member
          partition/system/1/bios  1 MiB     partition 1 of n1-B, BIOS boot
          partition/system/1/os    19.9 GiB  partition 2 of n1-B, RAID member
          md/os                    19.9 GiB  RAID1 of partition/system/0/os, partition/system/1/os
          vg/vg0                   19.9 GiB  volume group on md/os
          lv/vg0/root              8 GiB     logical volume
          lv/vg0/swap              1 GiB     logical volume
          lv/vg0/data              10 GiB    logical volume
          fs /                               ext4 on lv/vg0/root from image debian-12
          fs swap                            swap on lv/vg0/swap
          fs /srv                            xfs on lv/vg0/data

      Order
        1.  bootstrap   n1 n2 n3
        2.  partition   n1 n2 n3  after bootstrap
        3.  image       n1 n2 n3  after partition
        4.  seed        n1 n2 n3  after image
        5.  bootloader  n1 n2 n3  after seed
        6.  reboot      n1 n2 n3  after bootloader
        7.  database    n1        after reboot
        8.  worker      n2 n3     after reboot, n1/database

      Plan hash a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4"
    `);
  });

  it("marks every line about what is lost, and only those", () => {
    const lost = planLines(plan).filter(({ tone }) => tone === "destroy");
    expect(lost.map(({ text }) => text.trim())).toContain('partition vda1, 19 GiB, ext4 "old"');
    // Of each of 6 disks its name, what is on it, and its row in the table.
    expect(lost).toHaveLength(18);
  });

  it("names every disk before the question, empty or not", () => {
    const lines = lossLines(plan);
    expect(lines).toHaveLength(6);
    expect(lines[0]).toBe(
      'n1: disk serial n1-A QEMU DISK, 20 GiB, now vda: loses partition vda1, 19 GiB, ext4 "old"',
    );
    expect(lines[1]).toContain("loses nothing, it is empty");
  });

  it("puts a step into the wave after the last that it requires", () => {
    const order = waves(plan.steps).map((wave) => wave.map(({ id }) => id));
    expect(order[0]).toEqual(["n1/bootstrap", "n2/bootstrap", "n3/bootstrap"]);
    expect(order[6]).toEqual(["n1/database"]);
    expect(order[7]).toEqual(["n2/worker", "n3/worker"]);
  });
});
