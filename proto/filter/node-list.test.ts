import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expandNodes, foldNodes } from "./node-list.ts";

describe("expandNodes", () => {
  it.each([
    ["n1", ["n1"]],
    ["n[1-3],m4", ["n1", "n2", "n3", "m4"]],
    ["n[01-03,25]", ["n01", "n02", "n03", "n25"]],
    ["n[08-11]", ["n08", "n09", "n10", "n11"]],
    ["rack[1-2]n[1-2]", ["rack1n1", "rack1n2", "rack2n1", "rack2n2"]],
    ["n[1-2].lab,n1.lab", ["n1.lab", "n2.lab"]],
    ["[1-2]n", ["1n", "2n"]],
  ])("%s", (list, names) => expect(expandNodes(list)).toEqual(names));

  it.each([
    ["n[1-", /a `\[` is not closed/],
    ["n1]", /a `\]` closes nothing/],
    ["n[a]", /`a` is no number and no range such as 1-20/],
    ["n[]", /`` is no number/],
    ["n[2-1]", /`2-1` runs backwards/],
    ["n1,,n2", /a name is missing/],
    ["n1,", /a name is missing/],
    ["", /a name is missing/],
    ["n[1-99999999]", /names more than 100000 nodes/],
    ["n[1-9999]m[1-9999]", /names more than 100000 nodes/],
  ])("refuses %s", (list, message) => expect(() => expandNodes(list)).toThrow(message));
});

describe("foldNodes", () => {
  it.each([
    [[], ""],
    [["n1"], "n1"],
    [["n3", "n1", "n2", "m4"], "m4,n[1-3]"],
    [["n9", "n10", "n11"], "n[9-11]"],
    [["n08", "n09", "n10", "n1"], "n[1,08-10]"],
    [["rack1n1", "rack1n2", "rack2n1", "rack2n2"], "rack[1-2]n[1-2]"],
    [["rack1n1", "rack1n2", "rack2n1"], "rack1n[1-2],rack2n1"],
    [["web", "db"], "db,web"],
    [
      ["node-525400000000000001", "node-525400000000000002"],
      "node-525400000000000001,node-525400000000000002",
    ],
  ])("%j", (names, list) => expect(foldNodes(names)).toBe(list));

  it("writes what is read as the same names, whatever they are", () => {
    const name = fc
      .stringMatching(/^[a-c]{0,2}(0{0,2}[0-9]{1,3})?(-[ab][0-9]{1,2})?$/)
      .filter((text) => text !== "");
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 40 }), (names) => {
        const list = foldNodes(names);
        expect(names.length ? expandNodes(list).sort() : []).toEqual([...names].sort());
      }),
      { numRuns: 500 },
    );
  });
});
