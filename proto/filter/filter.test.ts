import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StepSchema } from "../gen/muster/v1/deployment_pb.ts";
import { Fault_Kind, Node_State, NodeSchema } from "../gen/muster/v1/node_pb.ts";
import { nodeFields, stepFields } from "./fields.ts";
import { parseFilter } from "./filter.ts";

const node = (init: MessageInitShape<typeof NodeSchema>) => create(NodeSchema, init);
const nodes = [
  node({ name: "n1", state: Node_State.READY, cluster: "blue", spec: { labels: { rack: "r1" } } }),
  node({ name: "n2", state: Node_State.READY, hostname: "web-2", spec: { labels: { rack: "r2" } } }),
  node({ name: "n3", state: Node_State.ERROR, online: true, faults: [{ kind: Fault_Kind.LATE }] }),
  node({ name: "m4", fingerprint: { macs: ["52:54:00:00:00:04"], systemSerial: 'A say "hi"' } }),
];

function found(filter: string): string[] {
  const { passes } = parseFilter(filter, nodeFields);
  return nodes.filter(passes).map(({ name }) => name);
}

describe("a filter", () => {
  it.each([
    ["", ["n1", "n2", "n3", "m4"]],
    ["   ", ["n1", "n2", "n3", "m4"]],
    ['state = READY AND label.rack = "r1"', ["n1"]],
    ["state=ready label.rack=r2", ["n2"]],
    ["state != READY", ["n3", "m4"]],
    ["label.rack != r1", ["n2", "n3", "m4"]],
    ["label.rack = *", ["n1", "n2"]],
    ["label.constructor = *", []],
    ["name = n*", ["n1", "n2", "n3"]],
    ["name = *2", ["n2"]],
    ["hostname = *eb*", ["n2"]],
    ["name = *", ["n1", "n2", "n3", "m4"]],
    ["state = R*", ["n1", "n2"]],
    ['cluster = ""', ["n2", "n3", "m4"]],
    ["online = true", ["n3"]],
    ["online = FALSE", ["n1", "n2", "m4"]],
    ["fault = LATE", ["n3"]],
    ["declared = true", ["n1", "n2"]],
    ["WEB", ["n2"]],
    ["52:54", ["m4"]],
    ["n AND 3", ["n3"]],
    ["n*", ["n1", "n2", "n3"]],
    ['"say \\"hi\\""', ["m4"]],
    ["mac = 52:54:00:00:00:04", ["m4"]],
  ])("%s", (filter, names) => expect(found(filter)).toEqual(names));

  it.each([
    ["stat = READY", "there is no field `stat` to filter by; did you mean `state`?"],
    ["state = REDY", "`state` is never `REDY`; did you mean `READY`?"],
    ["frobnicate = 1", /there is no field `frobnicate` to filter by; there are name, state, .*label\.\*/],
    ["labels.rack = r1", /there is no field `labels.rack`/],
    ["constructor = x", /there is no field `constructor`/],
    ["online = yes", "`online` is true or false, not `yes`"],
    ["state =", "`state =` is followed by no value"],
    ["state = AND name = n1", "`state =` is followed by no value"],
    ["= READY", "`=` follows no field"],
    ["AND n1", "AND stands between two terms"],
    ["n1 AND", "AND stands between two terms"],
    ["n1 AND AND n2", "AND stands between two terms"],
    ["n1 OR n2", 'OR is not part of filters; quote it to look for the word: "OR"'],
    ["(n1)", /filters have = and !=/],
    ['name = "n1', "a quote is not closed at character 8 of the filter"],
    ["x".repeat(1001), "the filter is longer than 1000 characters"],
  ])("refuses %s", (filter, message) => {
    expect(() => parseFilter(filter, nodeFields)).toThrow(message);
  });

  it("knows the fields of other resources", () => {
    const { passes, exact } = parseFilter("hold = true task = image node != n1 node = n*", stepFields);
    expect(passes(create(StepSchema, { task: "image", hold: true, node: "n2" }))).toBe(true);
    expect(passes(create(StepSchema, { task: "image", node: "n2" }))).toBe(false);
    expect([...exact]).toEqual([
      ["hold", "true"],
      ["task", "image"],
    ]);
  });
});
