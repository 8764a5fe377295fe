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
    ["name", "sda", "is not a hint: kernel names such as sda change between boots"],
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
