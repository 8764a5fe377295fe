// The program behind `--show-commands`: a plan of a cluster on its standard input.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { create, toJsonString } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { PlanSchema } from "../proto/gen/muster/v1/deployment_pb.ts";

it("says of every node what it runs, or that it runs nothing", () => {
  const disk = {
    selector: "d",
    serial: "S1",
    lastName: "sda",
    sizeBytes: 1n << 30n,
    logicalSectorBytes: 512,
  };
  const partitions = [{ number: 1, name: "os", firstLba: 2048n, lastLba: 4095n, typeCode: "8300" }];
  const luks = [{ name: "l", device: "partition/d/0/os", secret: "vault" }];
  const disks = { disks: [{ ...disk, partitions }], luks };
  const plan = create(PlanSchema, {
    nodes: [{ node: "new", disks }, { node: "same", disks }, { node: "bare" }],
    steps: [
      { node: "new", task: "partition" },
      { node: "same", task: "bootstrap", unchangedSince: "demo-1" },
      { node: "same", task: "partition", unchangedSince: "demo-2" },
    ],
  });
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, "show-commands.ts")],
    { input: toJsonString(PlanSchema, plan), encoding: "utf8" },
  );
  expect([status, stderr]).toEqual([0, ""]);
  const lines = stdout.trimEnd().split("\n");
  const shown = lines.slice(lines.indexOf("# new"));
  expect(shown.filter((line) => line.endsWith(" < SECRET(vault)"))).toHaveLength(2);
  expect(shown.slice(-4)).toEqual([
    "",
    "# same: its disks stay as they are, unchanged since demo-2",
    "",
    "# bare: no disk is touched",
  ]);
});
