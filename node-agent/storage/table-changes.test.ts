// What of a table is rewritten, and when it counts as done.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { DiskAction, PlannedDiskSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import type { Identifiers } from "./identifiers.ts";
import { keptTableFault } from "./keep.ts";
import { type FoundTable, isRewritten, outgoing } from "./table-changes.ts";
import { tableDifference } from "./tables.ts";

const { KEEP, CREATE } = DiskAction;
const guid = (device: string) => Buffer.from(device).toString("hex");
const ids: Identifiers = { uuid: guid, serial: () => "12ab34cd", physicalVolume: guid };
const disk = (changes: MessageInitShape<typeof PlannedDiskSchema>) =>
  create(PlannedDiskSchema, { selector: "os", ...changes });

const first = { number: 1, name: "a", firstLba: 10n, lastLba: 19n, typeCode: "8300" };
const linux = "0fc63daf-8483-4772-8e79-3d69d8477de4";
const found = (id: string, ...partitions: Partial<FoundTable["partitions"][number]>[]): FoundTable => ({
  label: "gpt",
  id,
  partitions: partitions.map((partition) => ({
    ...{ number: 1, firstLba: 10n, lastLba: 19n, type: linux, uuid: guid("partition/os/0/a"), active: false },
    ...partition,
  })),
});

test("a table is rewritten unless all of it is kept", () => {
  expect(isRewritten(disk({}))).toBe(true);
  expect(isRewritten(disk({ table: KEEP, partitions: [{ ...first, action: KEEP }] }))).toBe(false);
  expect(isRewritten(disk({ table: KEEP, partitions: [{ ...first, action: CREATE }] }))).toBe(true);
  expect(isRewritten(disk({ table: KEEP, removes: [{ number: 2 }] }))).toBe(true);
});

describe("an applied table", () => {
  const mark = guid("disk/os/0");
  const planned = disk({ partitions: [first] });

  test("is known by its mark and every partition", () => {
    expect(tableDifference(planned, found(mark.toUpperCase(), {}), ids)).toBeUndefined();
  });

  test.each([
    ["no table at all", undefined, "has no table"],
    ["a table of another kind", { ...found(mark, {}), label: "msdos" }, "has a table of type msdos"],
    ["no mark: it was interrupted", found("other", {}), "does not carry the mark"],
    ["a partition elsewhere", found(mark, { lastLba: 20n }), "partition 1 differs"],
    ["another type", found(mark, { type: "x" }), "the type of partition 1 differs"],
    ["a partition of another deployment", found(mark, { uuid: "ab" }), "the GUID of partition 1 differs"],
    ["a partition too many", found(mark, {}, { number: 2 }), "has 2 partitions"],
  ])("is not %s", (_, table, difference) => {
    expect(tableDifference(planned, table, ids)).toContain(difference);
  });

  test("of type msdos that stays has no mark, and is never taken for done", () => {
    const kept = disk({ label: "msdos", table: KEEP, partitions: [first] });
    const table = { ...found("0x12ab34cd", {}), label: "msdos" };
    expect(tableDifference(kept, table, ids)).toContain("cannot carry a mark");
  });
});

describe("a table that stays", () => {
  const planned = disk({
    table: KEEP,
    partitions: [
      { ...first, action: KEEP },
      { ...first, number: 2, name: "b", firstLba: 20n, lastLba: 29n },
    ],
    removes: [{ number: 3, firstLba: 20n, lastLba: 24n }],
  });
  const old = { number: 3, firstLba: 20n, lastLba: 24n };
  const own = { number: 2, firstLba: 20n, lastLba: 29n, uuid: guid("partition/os/0/b") };

  test("is as planned before the first attempt and after an interrupted one", () => {
    expect(keptTableFault(planned, found("", {}, old), ids)).toBeUndefined();
    expect(keptTableFault(planned, found("", {}), ids)).toBeUndefined();
    expect(keptTableFault(planned, found("", {}, own), ids)).toBeUndefined();
    expect(outgoing(planned, found("", {}, old))).toEqual([3]);
    expect(outgoing(planned, found("", {}, own))).toEqual([2]);
  });

  test("may have other partitions, but not where something is to be made", () => {
    expect(
      keptTableFault(planned, found("", {}, { number: 7, firstLba: 40n, lastLba: 49n }), ids),
    ).toBeUndefined();
    const stranger = { number: 7, firstLba: 25n, lastLba: 35n };
    expect(keptTableFault(planned, found("", {}, stranger), ids)).toBe(
      "partition 7 at 25 to 35 is not in the plan",
    );
    expect(keptTableFault(planned, found("", {}, { ...own, uuid: "ab" }), ids)).toContain(
      "partition 2 at 20",
    );
  });
});
