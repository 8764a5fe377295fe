// Tables that partitions cannot be put into everywhere.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { type SchemeSpec, SchemeSpecSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { planDisks } from "./disk-plan.ts";
import { disk, machine } from "./scheme-fixture.ts";
import { gib, mib, tib } from "./size.ts";

function msdos(partitions: object[], more = {}): SchemeSpec {
  return create(SchemeSpecSchema, {
    name: "one",
    disks: [{ id: "d" }],
    parteds: [{ disks: "d", label: "msdos", bootloader: "install", partitions, ...more }],
    fss: [{ device: "partition/root", type: "ext4", mount: "/" }],
  });
}

function outcome(scheme: SchemeSpec, change: object): { faults: string[]; warnings: string[] } {
  const result = planDisks(scheme, machine(disk("vda", change)), { protectedDisks: [] });
  return result.ok
    ? { faults: [], warnings: result.plan.warnings }
    : { faults: result.faults.map(({ message }) => message), warnings: [] };
}

describe("an msdos table on a disk of 4 TiB", () => {
  const large = { sizeBytes: 4n * tib };

  it("has no partition beyond its 32 bits, wherever the scheme puts it", () => {
    const far = { name: "far", begin: "2.5 TiB", end: "3 TiB" };
    expect(outcome(msdos([{ name: "root", size: "10 GiB" }, far]), large).faults[0]).toContain(
      "far reaches out of the part of the disk that partitions can have",
    );
  });

  it("warns of what it cannot reach", () => {
    const scheme = msdos([{ name: "root", size: "remaining" }]);
    expect(outcome(scheme, large).warnings).toEqual([
      "disks d: vda (QEMU, serial serial-vda, 4 TiB): an msdos table reaches 2 TiB; use a GPT for the rest",
    ]);
    expect(outcome(scheme, { sizeBytes: 2n * tib }).warnings).toEqual([]);
    // The same numbers count larger sectors.
    expect(outcome(scheme, { ...large, logicalSectorBytes: 4096 }).warnings).toEqual([]);
  });
});

it("what remains is the largest gap that is left beside what stays, not the first", () => {
  const part = (number: number, startBytes: bigint, sizeBytes: bigint) => ({
    name: `vda${number}`,
    parent: "vda",
    type: "part",
    partNumber: number,
    startBytes,
    sizeBytes,
    partName: `old${number}`,
    fsType: "ext4",
  });
  const bios = { name: "bios", size: "1 MiB", flags: ["bios_grub"] };
  const scheme = (...partitions: object[]) => msdos([bios, ...partitions], { others: "keep", label: "gpt" });
  const places = (wanted: SchemeSpec, contents: object[]) => {
    const old = { sizeBytes: 100n * gib, tableType: "gpt", contents };
    const result = planDisks(wanted, machine(disk("vda", old)), { protectedDisks: [] });
    if (!result.ok) throw new Error(JSON.stringify(result.faults));
    const [first] = result.plan.disks;
    return first?.partitions.map(
      ({ name, firstLba, sizeBytes }) => `${name} ${firstLba / 2048n}+${sizeBytes / mib}`,
    );
  };
  const two = [part(1, 10n * mib, gib), part(2, 30n * gib, 20n * gib)];
  expect(places(scheme({ name: "root", size: "remaining" }), two)).toEqual(["bios 1+1", "root 51200+51199"]);
  // There is no order in which all of these find room but that of the first gaps.
  const parts = [
    { name: "root", size: "remaining" },
    { name: "a", size: "48 GiB" },
    { name: "b", size: "48 GiB" },
  ];
  expect(places(scheme(...parts), [part(1, 49n * gib, gib)])).toEqual([
    "bios 1+1",
    "root 2+1022",
    "a 1024+49152",
    "b 51200+49152",
  ]);
});

it("a table with an extended partition does not stay, for lsblk does not say how large it is", () => {
  const part = (number: number, startBytes: bigint, sizeBytes: bigint, partType: string) => ({
    name: `vda${number}`,
    parent: "vda",
    type: "part",
    partNumber: number,
    startBytes,
    sizeBytes,
    partType,
    fsType: partType === "0x5" ? "" : "ext4",
  });
  const old = {
    sizeBytes: 100n * gib,
    tableType: "dos",
    contents: [
      part(1, mib, gib, "0x83"),
      part(2, gib + mib, 1024n, "0x5"),
      part(5, 30n * gib, 10n * gib, "0x83"),
    ],
  };
  const refusal =
    "disks d: vda (QEMU, serial serial-vda, 100 GiB): a table with logical partitions can only be made whole; use a GPT to keep some of it";
  const root = { name: "root", size: "20 GiB", count: 3 };
  expect(outcome(msdos([root], { others: "keep" }), old).faults).toEqual([refusal]);
  // What would be removed has another size in the table as well.
  const first = { name: "data", size: "1 GiB", count: 1, keepData: true };
  expect(outcome(msdos([first, root], { others: "wipe" }), old).faults).toEqual([refusal]);
  expect(outcome(msdos([root], { others: "wipe" }), old).faults).toEqual([]);
});

it("numbers that look alike are told apart in a refusal", () => {
  const scheme = msdos([
    { name: "boot", size: "1 MiB" },
    { name: "root", size: "100%" },
  ]);
  expect(outcome(scheme, { sizeBytes: 100n * gib - 9n * mib }).faults[0]).toContain(
    "too small: 102391 MiB are needed, 102390 MiB are available (boot 1 MiB, root 100%)",
  );
});
