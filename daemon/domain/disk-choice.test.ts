import { describe, expect, it } from "vitest";
import type { Inventory } from "../../proto/gen/muster/v1/inventory_pb.ts";
import type { SchemeSpec } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { chooseDisks } from "./disk-choice.ts";
import { disk, machine, mirror } from "./scheme-fixture.ts";
import { gib } from "./size.ts";

function choice({ disks }: SchemeSpec, inventory: Inventory) {
  return chooseDisks(disks, inventory.disks, []);
}

function refusals(scheme: SchemeSpec, inventory: Inventory): string[] {
  const chosen = choice(scheme, inventory);
  return chosen.ok ? [] : chosen.messages;
}

function plan(scheme: SchemeSpec, inventory: Inventory) {
  const chosen = choice(scheme, inventory);
  if (!chosen.ok) throw new Error(chosen.messages.join("\n"));
  return { disks: chosen.disks.map(({ disk: { name } }) => ({ lastName: name })), warnings: chosen.warnings };
}

describe("a selector", () => {
  const choose = (change: object) => mirror((s) => Object.assign(s.disks[0] ?? {}, change));
  const many = machine(
    disk("vda", { sizeBytes: 30n * gib }),
    disk("vdb", { sizeBytes: 10n * gib }),
    disk("vdc", { sizeBytes: 20n * gib }),
    disk("vdd", { sizeBytes: 20n * gib }),
    disk("vde", { sizeBytes: 40n * gib, tran: "usb" }),
    disk("vdf", { sizeBytes: 50n * gib, multipathMember: true }),
    disk("vdg", { sizeBytes: 60n * gib, liveMedium: true }),
  );
  const chosen = (change: object) =>
    plan(choose({ hints: {}, ...change }), many).disks.map(({ lastName }) => lastName);

  it("takes the largest or the smallest, unless two are as good", () => {
    expect(chosen({ count: 3, prefer: "largest" })).toEqual(["vda", "vdc", "vdd"]);
    expect(refusals(choose({ hints: {}, count: 2, prefer: "largest" }), many)[0]).toMatch(
      /needs the 2 largest, and these have the same size; .*:\n {2}vdc .*\n {2}vdd /,
    );
    expect(refusals(choose({ hints: {}, count: 9, prefer: "largest" }), many)[0]).toContain("and 4 match");
  });

  it("leaves out what is dangerous, unless it is told not to", () => {
    expect(chosen({ count: 2, prefer: "largest", exclude: ["nothing"] })).toEqual(["vde", "vdf"]);
    expect(chosen({ count: 2, prefer: "largest", exclude: ["multipath"] })).toEqual(["vda", "vde"]);
  });

  it("that goes by the kernel's names is warned of", () => {
    const named = choose({ hints: { name: "<or> /dev/vda <or> /dev/vdb" } });
    expect(plan(named, many).warnings[0]).toMatch(
      /^disks os is chosen by the kernel's name, which changes between boots: vda .*, vdb /,
    );
  });
});
