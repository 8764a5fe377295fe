// What the words of a scheme come to, one by one.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { DiskPlan } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { type Inventory, InventorySchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import {
  FsSchema,
  LvSchema,
  PartedSchema,
  PartitionSchema,
  PvSchema,
  type SchemeSpec,
  SchemeSpecSchema,
} from "../../proto/gen/muster/v1/manifest_pb.ts";
import { planDisks } from "./disk-plan.ts";
import { disk, machine, mirror } from "./scheme-fixture.ts";
import { gib, mib } from "./size.ts";

const two = machine(disk("vda"), disk("vdb"));

function result(scheme: SchemeSpec, inventory: Inventory): DiskPlan | string[] {
  const planned = planDisks(scheme, inventory, { protectedDisks: [] });
  return planned.ok ? planned.plan : planned.faults.map(({ message }) => message);
}

function plan(scheme: SchemeSpec, inventory: Inventory = two): DiskPlan {
  const planned = result(scheme, inventory);
  if (Array.isArray(planned)) throw new Error(planned.join("\n"));
  return planned;
}

function refusals(scheme: SchemeSpec, inventory: Inventory = two): string[] {
  const planned = result(scheme, inventory);
  return Array.isArray(planned) ? planned : [];
}

const part = (name: string, size: string, more = {}) => create(PartitionSchema, { name, size, ...more });

/** One disk with these partitions, the last of them root. */
function oneDisk(label: string, ...partitions: ReturnType<typeof part>[]): SchemeSpec {
  return create(SchemeSpecSchema, {
    name: "one",
    disks: [{ id: "d", hints: { serial: "serial-vda" } }],
    parteds: [{ disks: "d", label, partitions, bootloader: "install" }],
    fss: [{ device: `partition/${partitions.at(-1)?.name}`, type: "ext4", mount: "/" }],
  });
}

const bios = part("bios", "1 MiB", { flags: ["bios_grub"] });
const table = (scheme: SchemeSpec, inventory?: Inventory) =>
  plan(scheme, inventory).disks[0]?.partitions.map(
    ({ number, name, firstLba, sizeBytes, typeCode }) =>
      `${number} ${name} ${firstLba / 2048n}+${sizeBytes / mib} ${typeCode}`,
  );

describe("sizes", () => {
  it("share what remains by weight, within bounds", () => {
    const scheme = oneDisk(
      "gpt",
      bios,
      part("a", "remaining", { weight: 1 }),
      part("b", "remaining", { weight: 3 }),
      part("c", "remaining", { weight: 100, max: "1 GiB" }),
      part("root", "remaining", { weight: 1, min: "5 GiB" }),
    );
    // 10238 MiB less 1, less c's most and root's least: 4093 in the ratio of 1 to 3.
    expect(table(scheme)).toEqual([
      "1 bios 1+1 ef02",
      "2 a 2+1023 8300",
      "3 b 1025+3070 8300",
      "4 c 4095+1024 8300",
      "5 root 5119+5120 8300",
    ]);
  });

  it("follow the memory of the node", () => {
    const swap = part("swap", "", {
      byRam: [
        { upTo: "2 GiB", size: "200% of RAM" },
        { upTo: "8 GiB", size: "100% of RAM" },
        { size: "25%" },
      ],
    });
    const scheme = oneDisk("gpt", bios, swap, part("root", "remaining"));
    const swapOf = (memoryBytes: bigint) =>
      plan(scheme, create(InventorySchema, { ...two, memoryBytes })).disks[0]?.partitions[1]?.sizeBytes;
    expect(swapOf(gib)).toBe(2n * gib);
    expect(swapOf(2n * gib)).toBe(4n * gib);
    expect(swapOf(3n * gib)).toBe(3n * gib);
    expect(swapOf(64n * gib)).toBe(2559n * mib);
    expect(refusals(scheme)).toEqual([
      "sizes depend on the memory of the node, which its inventory does not say; take it again, or give `muster inventory from-lsblk` its --memory",
    ]);
  });

  it("are refused with the least that is wanted", () => {
    const scheme = oneDisk("gpt", bios, part("root", "remaining", { min: "20 GiB" }));
    expect(refusals(scheme)[0]).toContain(
      "20 GiB are needed, 9.9 GiB are available (bios 1 MiB, root remaining at least 20 GiB)",
    );
    const crossed = oneDisk("gpt", bios, part("root", "remaining", { min: "5 GiB", max: "10%" }));
    expect(refusals(crossed)[0]).toContain("root shall have at least 5 GiB, which is more than its max, 10%");
  });
});

describe("an msdos table", () => {
  it("has logical partitions in an extended one where there are more than four", () => {
    const scheme = oneDisk(
      "msdos",
      part("a", "100 MiB", { flags: ["boot"] }),
      part("b", "100 MiB"),
      part("c", "100 MiB"),
      part("d", "100 MiB"),
      part("root", "remaining"),
    );
    expect(table(scheme)).toEqual([
      "1 a 1+100 83",
      "2 b 101+100 83",
      "3 c 201+100 83",
      "4 extended 301+9939 5",
      "5 d 302+100 83",
      "6 root 403+9837 83",
    ]);
    const [disk0] = plan(scheme).disks;
    expect(disk0?.partitions.map(({ kind }) => kind)).toEqual([
      "primary",
      "primary",
      "primary",
      "extended",
      "logical",
      "logical",
    ]);
    expect([disk0?.label, disk0?.bootloader, disk0?.partitions[0]?.active]).toEqual(["msdos", true, true]);
  });

  it("ends where its numbers do", () => {
    const large = machine(disk("vda", { sizeBytes: 4096n * gib }));
    expect(plan(oneDisk("msdos", part("root", "remaining")), large).disks[0]?.partitions[0]?.lastLba).toBe(
      2n ** 32n - 1n,
    );
    expect(
      plan(oneDisk("gpt", bios, part("root", "remaining")), large).disks[0]?.partitions[1]?.lastLba,
    ).toBeGreaterThan(2n ** 32n);
  });
});

describe("a partition", () => {
  it("has the number, the place, the type and the attributes that are asked for", () => {
    const guid = "4fbd7e29-9d25-41b8-afd0-062c0ceff05d";
    const scheme = oneDisk(
      "gpt",
      part("bios", "", { begin: "34816 B", end: "1 MiB", flags: ["bios_grub"], count: 14 }),
      part("osd", "1 GiB", { guid, count: 3 }),
      part("root", "remaining", { flags: ["legacy_boot"] }),
    );
    const [first, osd, root] = plan(scheme).disks[0]?.partitions ?? [];
    expect(first).toMatchObject({ number: 14, firstLba: 68n, lastLba: 2047n, typeCode: "ef02" });
    expect(osd).toMatchObject({ number: 3, firstLba: 2048n, typeCode: guid.toUpperCase() });
    expect(root).toMatchObject({ number: 1, legacyBoot: true });
  });

  it("is refused a place that it cannot have", () => {
    const at = (begin: string, end: string, sizes = {}) =>
      refusals(
        oneDisk("gpt", bios, part("x", "", { begin, end }), part("root", "remaining")),
        machine(disk("vda", sizes)),
      )[0];
    expect(at("1.5 MiB", "100 GiB")).toContain(
      "x reaches out of the part of the disk that partitions can have",
    );
    expect(at("1048577 B", "2 MiB")).toContain("x does not begin and end at whole sectors of 512 bytes");
    expect(at("1049088 B", "2 MiB", { physicalSectorBytes: 4096 })).toContain(
      "x begins within a physical sector of 4096 bytes",
    );
    // Before it there is no room for `bios`.
    expect(at("1 MiB", "2 MiB")).toContain("too small: 1 MiB are needed");
  });
});

describe("volumes", () => {
  const striped = (change: (scheme: SchemeSpec) => void) =>
    mirror((s) => {
      s.mds = [];
      Object.assign(s.parteds[0]?.partitions[2] ?? {}, { flags: ["lvm"] });
      Object.assign(s.vgs[0] ?? {}, { devices: ["partition/os"] });
      s.lvs.splice(2, 1);
      s.fss.splice(2, 1);
      change(s);
    });

  it("that need several physical volumes are put on them, before the others", () => {
    const { lvs, pvs } = plan(
      striped((s) => {
        s.lvs.push(
          create(LvSchema, {
            name: "fast",
            vg: "vg0",
            type: "striped",
            size: "1000 MiB",
            stripeSize: "128 KiB",
          }),
          create(LvSchema, { name: "safe", vg: "vg0", type: "mirror", size: "2 GiB" }),
        );
      }),
    );
    expect(pvs.map(({ device, dataAlignmentBytes }) => [device, dataAlignmentBytes])).toEqual([
      ["partition/os/0/os", mib],
      ["partition/os/1/os", mib],
    ]);
    expect(lvs.map(({ name }) => name)).toEqual(["fast", "safe", "root", "swap"]);
    const both = ["partition/os/0/os", "partition/os/1/os"];
    expect(lvs[0]).toMatchObject({
      sizeBytes: 1000n * mib,
      stripes: 2,
      stripeBytes: 128n * 1024n,
      devices: both,
    });
    expect(lvs[1]).toMatchObject({ sizeBytes: 2n * gib, mirrors: 2, devices: both });
    expect(lvs[2]?.devices).toEqual([]);
  });

  it("are refused where a physical volume is too small for its part", () => {
    const scheme = striped((s) => {
      Object.assign(s.disks[0] ?? {}, { hints: { size: ">= 5" } });
      s.lvs.push(create(LvSchema, { name: "safe", vg: "vg0", type: "mirror", size: "8 GiB" }));
      Object.assign(s.lvs[0] ?? {}, { size: "10 MiB" });
      Object.assign(s.lvs[1] ?? {}, { size: "10 MiB" });
    });
    const uneven = machine(disk("vda", { sizeBytes: 5n * gib }), disk("vdb", { sizeBytes: 20n * gib }));
    expect(refusals(scheme, uneven)).toContain(
      "lv vg0/safe needs 8 GiB on each of 2 physical volumes, and partition/os/0/os has 4.9 GiB left; make it smaller",
    );
  });

  it("can be thin, with room for the pool's metadata, and a warning where they promise too much", () => {
    const thin = plan(
      mirror((s) => {
        Object.assign(s.lvs[2] ?? {}, { name: "pool", type: "thin_pool" });
        s.lvs.push(create(LvSchema, { name: "data", vg: "vg0", type: "thin", pool: "pool", size: "50 GiB" }));
      }),
    );
    const pool = thin.lvs.find(({ name }) => name === "pool");
    expect(pool).toMatchObject({ chunkBytes: 64n * 1024n, metadataBytes: 8n * mib });
    // The metadata twice, as LVM keeps a spare.
    const taken = thin.lvs.filter(({ type }) => type !== "thin").reduce((sum, lv) => sum + lv.sizeBytes, 0n);
    expect(taken + 16n * mib).toBe(thin.vgs[0]?.sizeBytes);
    expect(thin.lvs.at(-1)).toMatchObject({ name: "data", pool: "pool", sizeBytes: 50n * gib });
    expect(thin.warnings).toEqual([
      "thin pool vg0/pool has 4.9 GiB, its volumes promise 50 GiB: watch it, and extend it before it is full",
    ]);
  });

  it("have the metadata that their physical volume is given", () => {
    const { pvs, vgs } = plan(
      mirror((s) =>
        s.pvs.push(create(PvSchema, { device: "md/os", metadataSize: "28 MiB", metadataCopies: 2 })),
      ),
    );
    expect(pvs[0]).toMatchObject({ metadataBytes: 28n * mib, metadataCopies: 2 });
    expect((vgs[0]?.sizeBytes ?? 0n) + 57n * mib).toBeLessThanOrEqual(plan(mirror()).mds[0]?.sizeBytes ?? 0n);
  });
});

describe("arrays", () => {
  const spare = (size: string) =>
    mirror((s) => {
      Object.assign(s.disks[0] ?? {}, { hints: { serial: "<or> serial-vda <or> serial-vdb" } });
      s.disks.push({ ...(s.disks[0] ?? fail()), id: "spare", hints: { serial: "serial-vdc" }, count: 1 });
      s.parteds.push(
        create(PartedSchema, { disks: "spare", partitions: [part("spare", size, { flags: ["raid"] })] }),
      );
      Object.assign(s.mds[0] ?? {}, { spares: ["partition/spare"], metadata: "1.0" });
    });
  const three = machine(disk("vda"), disk("vdb"), disk("vdc", { sizeBytes: 20n * gib }));

  it("have spares, metadata, chunks, and a size of each member", () => {
    const [md] = plan(spare("remaining"), three).mds;
    expect(md).toMatchObject({ spares: ["partition/spare/0/spare"], metadata: "1.0", chunkBytes: 0n });
    expect(md?.componentBytes).toBe(md?.sizeBytes);
    expect(refusals(spare("1 GiB"), three)).toEqual([
      "md os: a spare is smaller than its smallest member of 9.9 GiB; make it larger",
    ]);
  });

  it("warn of members that are not alike", () => {
    const uneven = machine(disk("vda"), disk("vdb", { sizeBytes: 20n * gib }));
    expect(plan(mirror(), uneven).warnings).toEqual([
      "md os: its members have from 9.9 GiB to 19.9 GiB; of each only 9.9 GiB is used",
    ]);
  });

  it("can be of single partitions of different disks", () => {
    const scheme = mirror((s) => {
      s.mds[0]?.devices.splice(0, 1, "partition/os/1", "partition/os/0");
    });
    expect(plan(scheme).mds[0]?.devices).toEqual(["partition/os/1/os", "partition/os/0/os"]);
  });
});

describe("several operating systems", () => {
  const dual = () =>
    mirror((s) => {
      Object.assign(s.fss[0] ?? {}, { os: ["blue"] });
      Object.assign(s.fss[2] ?? {}, { os: ["green"], mount: "/" });
      s.lvs.push(create(LvSchema, { name: "log", vg: "vg0", size: "100 MiB" }));
      s.fss.push(create(FsSchema, { device: "lv/vg0/log", type: "ext4", mount: "/var/log", os: ["green"] }));
    });

  it("have a root each, and share the rest", () => {
    const { systems, rootDevice, fss } = plan(dual());
    expect(systems.map(({ os, rootDevice: root, kernelRoot }) => [os, root, kernelRoot])).toEqual([
      ["blue", "lv/vg0/root", "/dev/mapper/vg0-root"],
      ["green", "lv/vg0/data", "/dev/mapper/vg0-data"],
    ]);
    expect(rootDevice).toBe("lv/vg0/root");
    expect(fss.find(({ mount }) => mount === "/var/log")?.os).toEqual(["green"]);
  });

  it("each need one", () => {
    const scheme = dual();
    Object.assign(scheme.fss[2] ?? {}, { mount: "/data" });
    expect(refusals(scheme)).toEqual(["fss: none is mounted at / of green; the image goes there"]);
  });
});

function fail(): never {
  throw new Error("the fixture has changed");
}
