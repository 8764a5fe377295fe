import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { NodeSchema } from "../gen/muster/v1/node_pb.ts";
import { parseFilter } from "./filter.ts";
import { nodeFields } from "./node-fields.ts";
import { selectNodes, selectorFilter } from "./selector.ts";

const nodes = ["n1", "n2", "n10"].map((name) =>
  create(NodeSchema, { name, role: name === "n2" ? "db" : "web", online: name !== "n10" }),
);
const chosen = (...selectors: string[]) => selectNodes(selectors, nodes, nodeFields).map(({ name }) => name);

it("takes a word as a name, never as a search", () => {
  expect(chosen("n1")).toEqual(["n1"]);
  expect(chosen(" n[1-2] ")).toEqual(["n1", "n2"]);
  expect(chosen("n10,n1")).toEqual(["n1", "n10"]);
});

it("takes filters, and all of several selectors", () => {
  expect(chosen("*")).toEqual(["n1", "n2", "n10"]);
  expect(chosen("role = web")).toEqual(["n1", "n10"]);
  expect(chosen("role = web", "online = true")).toEqual(["n1"]);
  expect(chosen("n[1-2]", "role=db")).toEqual(["n2"]);
});

it("names what no node is called, and what cannot be read", () => {
  expect(() => chosen("n[1-3]")).toThrow("there is no node `n3`; did you mean `n1`?");
  expect(() => chosen("compute")).toThrow("there is no node `compute`; it is one of n1, n2, n10");
  expect(() => chosen("rol = web")).toThrow("there is no field `rol` to filter by; did you mean `role`?");
  expect(() => chosen("")).toThrow("nothing is chosen; `*` is every node");
});

it.each([[["n1"]], [["n10,n1"]], [["n[1-2],n10"]], [["role = web or name = n2", "online = true"]], [["*"]]])(
  "means the same as one filter: %j",
  (selectors) => {
    const { passes } = parseFilter(selectorFilter(selectors), nodeFields);
    expect(nodes.filter(passes).map(({ name }) => name)).toEqual(chosen(...selectors));
  },
);
