// Sizes that cannot be true together, or mean nothing.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { LvSchema, PartitionSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { checkScheme } from "./scheme-check.ts";
import { mirror } from "./scheme-fixture.ts";

function faults(lvs: object[]): string[] {
  const scheme = mirror((s) => {
    s.lvs = lvs.map((lv) => create(LvSchema, { vg: "vg0", ...lv }));
    s.fss = s.fss.slice(0, 1);
    s.parteds[0]?.partitions.splice(1, 1);
  });
  return checkScheme(scheme).map(({ path, message }) => `${path}: ${message}`);
}

const shares = (...sizes: string[]) => sizes.map((size, i) => ({ name: i ? `v${i}` : "root", size }));

describe("shares of a whole", () => {
  it("are counted exactly", () => {
    // As floating point numbers these are more than 100.
    expect(faults(shares("16.7%", "16.6%", "16.7%", "16.7%", "16.6%", "16.7%"))).toEqual([]);
    expect(faults(shares("33.3%", "33.3%", "33.41%"))).toEqual([
      "lvs[2].size: with this the shares of volume group vg0 add up to 100.01%; make them 100% or less",
    ]);
  });

  it("have bounds that are not the wrong way round", () => {
    const bounded = (min: string, max: string) => faults([{ name: "root", size: "remaining", min, max }]);
    expect(bounded("50%", "10%")).toEqual(["lvs[0].max: is less than min, 50%"]);
    expect(bounded("50% of RAM", "100% of RAM")).toEqual([]);
    expect(bounded("2 GiB", "1024 MiB")).toEqual(["lvs[0].max: is less than min, 2 GiB"]);
  });
});

describe("a thin volume", () => {
  it("has no part in what remains, for its pool promises as much as is asked", () => {
    const thin = (size: object) =>
      faults([
        { name: "pool", type: "thin_pool", size: "90%" },
        { name: "data", type: "thin", pool: "pool", ...size },
        { name: "root", size: "remaining" },
      ]);
    expect(thin({ size: "100%" })).toEqual([]);
    const message = "is a share of the pool or so many bytes for a thin volume, such as 100% or 20 GiB";
    expect(thin({ size: "remaining" })).toEqual([`lvs[1].size: ${message}; nothing remains of a pool`]);
    expect(thin({ byRam: [{ size: "remaining" }] })).toEqual([
      `lvs[1].by_ram[0].size: ${message}; nothing remains of a pool`,
    ]);
  });
});

it("a partition has the same rules", () => {
  const scheme = mirror((s) => {
    s.parteds[0]?.partitions.push(create(PartitionSchema, { name: "x", size: "20%", min: "9%", max: "1%" }));
  });
  expect(checkScheme(scheme)).toEqual([
    { path: "parteds[0].partitions[3].max", message: "is less than min, 9%" },
  ]);
});
