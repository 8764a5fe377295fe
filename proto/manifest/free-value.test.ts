import { toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { decodeManifests, formatFault } from "./decode.ts";

function read(parameters: string) {
  const content = `kind: Task\nname: t\nroles: [r]\nnoop: {}\nparameters:\n${parameters}`;
  const { documents, faults } = decodeManifests([{ path: "a.yaml", content }]);
  const kind = documents[0]?.manifest.kind;
  const values = kind?.case === "task" ? Object.entries(kind.value.parameters) : [];
  return {
    faults: faults.map(formatFault),
    values: Object.fromEntries(values.map(([key, value]) => [key, toJson(ValueSchema, value)])),
  };
}

describe("a value of any shape", () => {
  it("comes as it is written: lists, maps, numbers, nothing", () => {
    const text =
      '  name: web\n  port: 80\n  share: 1.5\n  on: true\n  none:\n  hosts: [a, {b: [1, null]}]\n  "a b": &x {y: "0644"}\n  again: *x\n';
    expect(read(text)).toEqual({
      faults: [],
      values: {
        name: "web",
        port: 80,
        share: 1.5,
        on: true,
        none: null,
        hosts: ["a", { b: [1, null] }],
        "a b": { y: "0644" },
        again: { y: "0644" },
      },
    });
  });

  it.each([
    [
      "  mode: 0644\n",
      'a.yaml:6:9: parameters.mode: would be the number 644: write 644, or "0644" in quotes',
    ],
    ["  id: 90071992547409931\n", "a.yaml:6:7: parameters.id: would be the number 90071992547409940"],
    [
      "  a: [1, {b: .inf}]\n",
      "a.yaml:6:14: parameters.a[1].b: is a number that cannot be stored: write it in",
    ],
    ["  a: {b: 1, b: 2}\n", "a.yaml:6:13: parameters.a.b: is given twice"],
    ["  a: {__proto__: 1}\n", "cannot be used as a name"],
    ["  a: &x [*x]\n", "is nested more than 50 times"],
    ["  a: *nowhere\n", "parameters.a: expected a value, found *nowhere"],
  ])("%s is refused in its place", (text, fault) => {
    expect(read(text).faults[0]).toContain(fault);
  });
});
