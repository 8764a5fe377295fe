// Identifiers: the same for the same deployment and plan, others for any other.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DiskPlanSchema } from "../../proto/gen/muster/v1/disk_plan_pb.ts";
import { identifiersOf, sameUuid } from "./identifiers.ts";

const identity = { node: "n1", joinBundle: "", imageKey: "key", privateKey: "", certificate: "" };
const plan = create(DiskPlanSchema, { rootDevice: "lv/vg0/root" });
const ids = (step: string, of = plan, imageKey = "key") =>
  identifiersOf(of, { step, identity: { ...identity, imageKey } });

test("every step and attempt of a deployment on a node derives the same", () => {
  const uuid = ids("demo-1/n1/partition").uuid("md/os");
  expect(ids("demo-1/n1/image").uuid("md/os")).toBe(uuid);
  expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(ids("demo-1/n1/partition").serial("md/os")).toMatch(/^[0-9a-f]{8}$/);
  expect(ids("demo-1/n1/partition").physicalVolume("md/os")).toMatch(
    /^\w{6}-\w{4}-\w{4}-\w{4}-\w{4}-\w{4}-\w{6}$/,
  );
});

test("another deployment, node, plan, device or daemon derives others", () => {
  const other = create(DiskPlanSchema, { rootDevice: "lv/vg0/other" });
  const all = [
    ids("demo-1/n1/partition").uuid("md/os"),
    ids("demo-2/n1/partition").uuid("md/os"),
    ids("demo-1/n2/partition").uuid("md/os"),
    ids("demo-1/n1/partition", other).uuid("md/os"),
    ids("demo-1/n1/partition", plan, "another key").uuid("md/os"),
    ids("demo-1/n1/partition").uuid("md/data"),
  ];
  expect(new Set(all).size).toBe(all.length);
});

test("UUIDs are compared whatever their punctuation", () => {
  expect(sameUuid("AB12-cd", "ab:12cd")).toBe(true);
  expect(sameUuid("ab12", "ab13")).toBe(false);
  expect(sameUuid("", "")).toBe(false);
});
