import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { StepSchema } from "../gen/muster/v1/deployment_pb.ts";
import { Firmware_Mode } from "../gen/muster/v1/inventory_pb.ts";
import { Fault_Kind, Node_State, NodeSchema } from "../gen/muster/v1/node_pb.ts";
import { stepFields } from "./fields.ts";
import { parseFilter } from "./filter.ts";
import { nodeFields, nodeFieldsWith } from "./node-fields.ts";

const gib = 1n << 30n;
const node = (init: MessageInitShape<typeof NodeSchema>) => create(NodeSchema, init);
const nodes = [
  node({ name: "n1", state: Node_State.READY, cluster: "blue", spec: { labels: { rack: "r1" } } }),
  node({
    name: "n2",
    state: Node_State.READY,
    hostname: "web-2",
    spec: { labels: { rack: "r2" } },
    inventory: {
      memoryBytes: 64n * gib,
      cpu: { threads: 8 },
      disks: [{ sizeBytes: 10n ** 12n, rotational: false }],
      nics: [{ driver: "virtio_net", speedMbps: 1000 }],
      system: { manufacturer: "Supermicro" },
      firmware: { mode: Firmware_Mode.UEFI },
    },
  }),
  node({
    name: "n3",
    state: Node_State.ERROR,
    online: true,
    faults: [{ kind: Fault_Kind.LATE }],
    inventory: {
      memoryBytes: 128n * gib,
      cpu: { threads: 16 },
      disks: [{ sizeBytes: 10n ** 12n }, { sizeBytes: 2n * 10n ** 12n, rotational: true }],
      nics: [{ driver: "ixgbe", speedMbps: 10_000 }],
    },
  }),
  node({
    name: "m4",
    spec: { labels: { slots: "4" } },
    fingerprint: { macs: ["52:54:00:00:00:04"], systemSerial: 'A say "hi"' },
  }),
];

const facts = { cores: 8, os: { name: "debian" }, roles: ["db", "web"] };
const fields = nodeFieldsWith((name, task) => (name === "n1" && task === "gather" ? facts : undefined));

function found(filter: string): string[] {
  const { passes } = parseFilter(filter, fields);
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
    ["declared = true", ["n1", "n2", "m4"]],
    ["WEB", ["n2"]],
    ["52:54", ["m4"]],
    ["n AND 3", ["n3"]],
    ["n*", ["n1", "n2", "n3"]],
    ['"say \\"hi\\""', ["m4"]],
    ["mac = 52:54:00:00:00:04", ["m4"]],
    ["n1 or n3", ["n1", "n3"]],
    ["state = READY and label.rack = r1 or online = true", ["n1", "n3"]],
    ["state = READY and (label.rack = r1 or hostname = web-2)", ["n1", "n2"]],
    ["not state = READY", ["n3", "m4"]],
    ["NOT (state = READY OR n3)", ["m4"]],
    ["not not n1", ["n1"]],
    ['"or"', []],
    ["n[1-2]", ["n1", "n2"]],
    ["n[1,3] or m4", ["n1", "n3", "m4"]],
    ["name = n[2-9]", ["n2", "n3"]],
    ["name != n[2-9],m4", ["n1"]],
    ["label.rack = r[1-3]", ["n1", "n2"]],
    ["memory > 64 GiB", ["n3"]],
    ["memory >= 64GiB and not memory = 128 gib", ["n2"]],
    ["memory < 65 GB", []],
    ["memory != 64 GiB", ["n1", "n3", "m4"]],
    ["not memory < 1 TiB", ["n1", "m4"]],
    ["cpus >= 8 state = READY", ["n2"]],
    ["disks = 2", ["n3"]],
    ["disk.size > 1.5 TB", ["n3"]],
    ["disk.rotational = true", ["n3"]],
    ["disk.rotational = false", ["n2", "n3"]],
    ['nic.driver = "ixgbe" nic.speed >= 10 Gbit/s', ["n3"]],
    ["nic.speed < 10000", ["n2"]],
    ["vendor = Sup* firmware = uefi", ["n2"]],
    ["fact.gather.cores > 4", ["n1"]],
    ["fact.gather.os.name = debian", ["n1"]],
    ["fact.gather.roles = web", ["n1"]],
    ["fact.gather.absent = *", []],
    ["label.slots >= 4", ["m4"]],
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
    ["n1 AND", "AND stands between two terms (character 4 of the filter)"],
    ["n1 or", "or stands between two terms"],
    ["not", "not is followed by no term"],
    ["n1 and not", "not is followed by no term"],
    ["(n1", "`(` is not closed (character 1 of the filter)"],
    ["n1)", "`)` closes nothing (character 3 of the filter)"],
    ["state = READY or ()", "the brackets are empty"],
    ["rack = r1", /there is no field `rack` .*; a label is `label.rack`/],
    ["memory > 64 GiBs", "`memory` is a size such as 64 GiB, not `64 GiBs`; did you mean `GiB`?"],
    ["memory > much", "`memory` is a size such as 64 GiB, not `much`"],
    ["cpus > 8 GiB cpus < x", "`cpus` is a number, not `x`"],
    ["n[3-1]", "`n[3-1]`: the range `3-1` runs backwards (character 1 of the filter)"],
    ["n1 name = n[1-3", "`n[1-3`: a `[` is not closed (character 4 of the filter)"],
    ["name < n2", "`name` is no number: it can be = or !=, and not < (character 1 of the filter)"],
    ['name = "n1', "a quote is not closed at character 8 of the filter"],
    ["x".repeat(1001), "the filter is longer than 1000 characters"],
  ])("refuses %s", (filter, message) => {
    expect(() => parseFilter(filter, nodeFields)).toThrow(message);
  });

  it("tells which field has one value in everything that passes, and only then", () => {
    const exact = (filter: string) => [...parseFilter(filter, nodeFields).exact.keys()];
    expect(exact("name = n1 and (role = web)")).toEqual(["name"]);
    expect(exact("name = n1 and role = web or cluster = blue")).toEqual([]);
    expect(exact("not name = n1 role = n* cluster = c[1-2] hostname = web")).toEqual(["hostname"]);
    expect(exact("name != n1 memory = 1GiB")).toEqual(["memory"]);
  });

  it("says which terms a thing does not meet, and what it has", () => {
    const { misses } = parseFilter("memory >= 96 GiB and (cpus > 1 or n1) nic.driver = ixgbe", nodeFields);
    expect(nodes.slice(0, 3).map(misses)).toEqual([
      ["`memory >= 96 GiB` (it has none)", "`nic.driver = ixgbe` (it has none)"],
      ["`memory >= 96 GiB` (it has 64 GiB)", "`nic.driver = ixgbe` (it has virtio_net)"],
      [],
    ]);
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
