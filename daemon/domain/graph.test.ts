import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sortGraph } from "./graph.ts";

describe("sortGraph", () => {
  it("keeps the given order where nothing else is asked", () => {
    const nodes = ["c", "a", "b"].map((id) => ({ id, requires: [] }));
    expect(sortGraph(nodes)).toEqual({ order: nodes });
  });

  it("names the cycle, not what hangs on it", () => {
    const nodes = [
      { id: "free", requires: [] },
      { id: "a", requires: ["c", "free"] },
      { id: "b", requires: ["a"] },
      { id: "c", requires: ["b"] },
      { id: "behind", requires: ["c"] },
    ];
    const sorted = sortGraph(nodes);
    if (!("cycle" in sorted)) throw new Error("no cycle found");
    expect(new Set(sorted.cycle)).toEqual(new Set(["a", "b", "c"]));
    expect(sorted.cycle[0]).toBe(sorted.cycle.at(-1));
    expect(sorted.cycle).toHaveLength(4);
  });

  it("puts every node after all that it requires, for any graph without cycles", () => {
    const acyclic = fc
      .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 40 })
      .map((rows) =>
        rows.map((row, i) => ({
          id: `s${i}`,
          requires: i === 0 ? [] : [...new Set(row.map((n) => `s${n % i}`))],
        })),
      )
      .chain((nodes) => fc.shuffledSubarray(nodes, { minLength: nodes.length }));
    fc.assert(
      fc.property(acyclic, (nodes) => {
        const sorted = sortGraph(nodes);
        if (!("order" in sorted)) return false;
        const place = new Map(sorted.order.map(({ id }, index) => [id, index]));
        return (
          sorted.order.length === nodes.length &&
          sorted.order.every(({ id, requires }) =>
            requires.every((required) => (place.get(required) ?? -1) < (place.get(id) ?? -1)),
          )
        );
      }),
    );
  });
});
