// Whether the members of a mirror are equal, by what mdadm says of them.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { PlannedMdSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { areEqual } from "./former-mirrors.ts";

const md = create(PlannedMdSchema, {
  name: "os",
  level: 1,
  devices: ["partition/a/0/os", "partition/a/1/os"],
});

function report(changes: Record<string, string> = {}): string {
  const fields = {
    Magic: "a92b4efc",
    Version: "1.2",
    "Array UUID": "f287a0ef:97588a01:b25e2e80:12c2682d",
    "Raid Level": "raid1",
    "Raid Devices": "2",
    "Data Offset": "8192 sectors",
    State: "clean",
    Events: "17",
    "Array State": "AA ('A' == active, '.' == missing, 'R' == replacing)",
    ...changes,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name.padStart(15)} : ${value}`);
  return ["/dev/vda3:", ...lines, ""].join("\n");
}

test("the members of a mirror that was left whole are equal", () => {
  expect(areEqual([report(), report()], md)).toBe(true);
});

test.each([
  ["has missed writes", { Events: "16" }],
  ["was being written to", { State: "active" }],
  ["was being rebuilt", { "Recovery Offset": "1024 sectors" }],
  [
    "knows that the other was lost",
    { "Array State": "A. ('A' == active, '.' == missing, 'R' == replacing)" },
  ],
  ["is of another array", { "Array UUID": "00000000:97588a01:b25e2e80:12c2682d" }],
  ["is of a stripe", { "Raid Level": "raid0" }],
  ["has other metadata", { Version: "1.0" }],
  ["is one of three", { "Raid Devices": "3", "Array State": "AAA ('A' == active)" }],
])("they are not when one %s", (_, changes) => {
  expect(areEqual([report(), report(changes)], md)).toBe(false);
});

test("what is no member of an array is equal to nothing", () => {
  expect(areEqual(["", ""], md)).toBe(false);
  expect(areEqual([], md)).toBe(false);
});
