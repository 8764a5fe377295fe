import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { NodeIndex } from "./node-index.ts";

const node = (name: string, systemUuid: string, ...macs: string[]) =>
  create(NodeSchema, { name, fingerprint: { systemUuid, macs } });

it("finds a node by its UUID and by each of its MAC addresses, and no longer by what it had before", () => {
  const index = new NodeIndex();
  const before = node("n1", "u1", "m1", "m2");
  index.put(before, undefined);
  index.put(node("n2", "u2", "m3"), undefined);
  expect(["u1", "m1", "m2", "u2", "m3"].map((mark) => index.find(mark))).toEqual([
    "n1",
    "n1",
    "n1",
    "n2",
    "n2",
  ]);
  index.put(node("n1", "u1", "m2", "m4"), before);
  expect(["u1", "m1", "m2", "m4"].map((mark) => index.find(mark))).toEqual(["n1", undefined, "n1", "n1"]);
});

it("finds the node that was there first where two claim the same, and the other when that has gone", () => {
  const index = new NodeIndex();
  const first = node("n1", "", "m1");
  index.put(first, undefined);
  index.put(node("n2", "", "m1"), undefined);
  expect(index.find("m1")).toBe("n1");
  index.delete(first);
  expect(index.find("m1")).toBe("n2");
  expect(index.find("")).toBeUndefined();
});
