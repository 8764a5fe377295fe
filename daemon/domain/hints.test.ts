import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { DiskSchema } from "../../proto/gen/muster/v1/inventory_pb.ts";
import { checkHints, matchDisk } from "./hints.ts";

const ssd: MessageInitShape<typeof DiskSchema> = {
  name: "sda",
  model: "Samsung SSD 860",
  vendor: "ATA",
  serial: "S3Z9NB0K",
  wwn: "0x5002538e40a1",
  hctl: "0:0:1:0",
  tran: "sata",
  sizeBytes: 100n * 2n ** 30n,
  byPath: ["pci-0000:00:1f.2-ata-1"],
};
const disk = create(DiskSchema, ssd);

describe("a hint matches as Ironic's does", () => {
  it.each([
    ["model", "samsung ssd 860"],
    ["model", "<in> SSD"],
    ["model", "<all-in> samsung 860"],
    ["model", "<or> other <or> Samsung SSD 860"],
    ["model", "s!= other"],
    ["serial", "s>= S3"],
    ["serial", "s3z9nb0k"],
    ["size", "100"],
    ["size", "== 100"],
    // In Ironic `=` is at least.
    ["size", "= 50"],
    ["size", ">= 100"],
    ["size", "< 100.5"],
    ["size", "!= 99"],
    ["size", "<or> 50 <or> 100"],
    ["size", "<range-in> [ 100 200 ]"],
    ["size", "<range-in> ( 99 100 ]"],
    ["rotational", "false"],
    ["hctl", "0:0:1:0"],
    ["wwn", "0x5002538E40A1"],
    ["by_path", "pci-0000:00:1f.2-ata-1"],
    ["by_path", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1"],
    ["tran", "s== sata"],
  ])("%s: %s", (hint, expression) => {
    expect(checkHints({ [hint]: expression })).toEqual([]);
    expect(matchDisk({ [hint]: expression }, disk)).toEqual({ ok: true });
  });

  it.each([
    ["model", "samsung", "model is Samsung SSD 860, not `samsung`"],
    ["size", "101", "size is 100 GiB, not `101`"],
    ["size", "> 100", "size is 100 GiB, not `> 100`"],
    ["size", "<range-in> ( 100 200 ]", "size is 100 GiB, not `<range-in> ( 100 200 ]`"],
    ["rotational", "true", "rotational is false, not `true`"],
    ["serial", "<or> 1 <or> 2", "serial is S3Z9NB0K, not `<or> 1 <or> 2`"],
  ])("not %s: %s", (hint, expression, why) => {
    expect(matchDisk({ [hint]: expression }, disk)).toEqual({ ok: false, why });
  });

  it("only if all of them do, and the reasons are all given", () => {
    expect(matchDisk({ tran: "nvme", size: ">= 200", vendor: "ata" }, disk)).toEqual({
      ok: false,
      why: "size is 100 GiB, not `>= 200`; tran is sata, not `nvme`",
    });
    const bare = create(DiskSchema, { name: "vda" });
    expect(matchDisk({ serial: "x" }, bare)).toEqual({ ok: false, why: "serial is unknown, not `x`" });
  });
});

describe("a hint is refused", () => {
  it.each([
    ["size", "0", "is a number of GiB"],
    ["sise", "4", "there is no such hint; did you mean `size`?"],
    ["size", "100 GB", "is a number of GiB, such as 100 or >= 100; found `100 GB`"],
    ["size", "<in> 4", "is a number of GiB, which `<in>` does not compare"],
    ["size", "<range-in> 10 20", "has a range such as <range-in> [ 10 20 ]"],
    ["size", "<range-in> [ 20 10 ]", "has a range that ends before it starts"],
    ["size", ">=", "has nothing to compare with"],
    ["model", ">= x", "is text, which `>=` does not compare; use s=="],
    ["rotational", "maybe", "is true or false; found `maybe`"],
  ])("%s: %s", (hint, expression, message) => {
    expect(checkHints({ [hint]: expression })[0]?.message).toContain(message);
  });
});

// The devices, hints and outcomes of Ironic's own tests.
describe("Ironic's cases", () => {
  const gib = 2n ** 30n;
  const devices = [
    create(DiskSchema, { name: "sda", sizeBytes: 60n * gib, model: "ok model", serial: "fakeserial" }),
    create(DiskSchema, {
      name: "sdb",
      sizeBytes: 120n * gib,
      model: "big model",
      serial: "veryfakeserial",
      rotational: true,
    }),
    create(DiskSchema, {
      name: "sdc",
      sizeBytes: 10n * gib,
      model: "small model",
      serial: "veryveryfakeserial",
    }),
  ];
  const found = (hints: Record<string, string>) =>
    devices.filter((device) => matchDisk(hints, device).ok).map(({ name }) => name);

  it.each<[Record<string, string>, string[]]>([
    [{ size: ">= 70" }, ["sdb"]],
    [{ size: ">=100", rotational: "true" }, ["sdb"]],
    [{ size: ">= 50", model: "s==big model", serial: "s==veryfakeserial" }, ["sdb"]],
    [
      {
        size: "<= 20",
        model: "<or> model 5 <or> foomodel <or> small model <or>",
        serial: "s== veryveryfakeserial",
      },
      ["sdc"],
    ],
    [{ rotational: "False", model: "<in> small" }, ["sdc"]],
    [{ size: "120", model: "big model", serial: "veryfakeserial" }, ["sdb"]],
    [{ size: ">=50", model: "s==foo" }, []],
    [{ size: ">= 10" }, ["sda", "sdb", "sdc"]],
    [{ size: ">= 100500" }, []],
    [{ name: "s== /dev/sda" }, ["sda"]],
    [{ name: "<or> /dev/sda <or> /dev/sdb" }, ["sda", "sdb"]],
    [{ serial: "s!= fakeserial" }, ["sdb", "sdc"]],
  ])("%j", (hints, expected) => {
    expect(checkHints(hints)).toEqual([]);
    expect(found(hints)).toEqual(expected);
  });

  it("an attribute without a value matches nothing that is wanted", () => {
    expect(matchDisk({ model: "foo" }, create(DiskSchema, { model: " " })).ok).toBe(false);
    expect(matchDisk({ model: "<in> o" }, create(DiskSchema)).ok).toBe(false);
  });

  it("are read no further than Ironic reads them, and compared in its escaped form", () => {
    expect(found({ model: "<in> small <in> big" })).toEqual(["sdc"]);
    const spaced = create(DiskSchema, { model: "a b", serial: "0123" });
    // In the escaped form a space comes before letters and after nothing.
    expect(matchDisk({ model: "s< a-b" }, spaced).ok).toBe(true);
    // A serial that is a number can be compared as one.
    expect(matchDisk({ serial: "== 123" }, spaced).ok).toBe(true);
    expect(matchDisk({ serial: "s== 123" }, spaced).ok).toBe(false);
  });

  it("know the parts of a WWN", () => {
    const disk = create(DiskSchema, { wwn: "0x600508b1001c3a5e9e2d4f7a8b6c1d0e" });
    expect(matchDisk({ wwn: "0x600508b1001c3a5e" }, disk).ok).toBe(true);
    expect(matchDisk({ wwn: "s!= 0x600508b1001c3a5e" }, disk).ok).toBe(false);
    expect(matchDisk({ wwn_with_extension: "0x600508b1001c3a5e9e2d4f7a8b6c1d0e" }, disk).ok).toBe(true);
    expect(matchDisk({ wwn_vendor_extension: "0x9e2d4f7a8b6c1d0e" }, disk).ok).toBe(true);
  });
});

// Random hints and devices, with what Ironic's own matcher answered (ironic-python-agent, device_hints.py).
describe("random cases", () => {
  type Case = [
    hints: Record<string, string>,
    device: Record<string, string | number | boolean>,
    answer: unknown,
  ];
  const cases = JSON.parse(
    readFileSync(join(import.meta.dirname, "fixtures/ironic-hints.json"), "utf8"),
  ) as Case[];

  it.each(cases)("%j of %j: %j", (hints, { size = 0, ...attributes }, answer) => {
    const disk = create(DiskSchema, { name: "sda", sizeBytes: BigInt(Number(size)), ...attributes });
    // What Ironic fails on matches nothing here.
    const matches = checkHints(hints).length === 0 && matchDisk(hints, disk).ok;
    expect(matches).toBe(answer === true);
  });

  it("are many of each kind", () => {
    for (const answer of [true, false, "error"])
      expect(cases.filter(([, , own]) => own === answer).length).toBeGreaterThanOrEqual(30);
  });
});

describe("beyond Ironic", () => {
  const disk = create(DiskSchema, {
    model: "Samsung SSD 860",
    byId: ["ata-Samsung_SSD_860_S3Z9", "wwn-0x5002538e40a1"],
  });
  it.each([
    ["model", "<glob> samsung*8?0", true],
    ["model", "<glob> samsung", false],
    ["model", "<glob> *[789]60", true],
    ["model", "<glob> *[!8]60", false],
    ["by_id", "wwn-0x5002538e40a1", true],
    ["by_id", "/dev/disk/by-id/ata-Samsung_SSD_860_S3Z9", true],
    ["by_id", "<glob> ata-*_S3Z9", true],
    ["by_id", "s!= wwn-0x5002538e40a1", false],
  ])("%s: %s", (hint, expression, matches) => {
    expect(checkHints({ [hint]: expression })).toEqual([]);
    expect(matchDisk({ [hint]: expression }, disk).ok).toBe(matches);
  });
});
