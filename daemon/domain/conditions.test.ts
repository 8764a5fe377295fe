import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { checkExpression, evaluate, readsOwnNode, readsRuntime } from "./conditions.ts";

const values: JsonObject = {
  settings: { color: "blue" },
  node: {
    name: "n1",
    role: "compute",
    labels: { rack: "r1" },
    inventory: { cpus: 8, memory_bytes: 2 ** 36 },
  },
  roles: { compute: ["n1", "n2"] },
  parameters: { share: 1.5, ports: [80, 443] },
  tasks: { install: { outcome: "changed", facts: { version: "1.2" } }, start: { outcome: "ok", facts: {} } },
  nodes: [
    { name: "n1", role: "compute", tasks: {} },
    { name: "n2", role: "compute", tasks: {} },
  ],
};

describe("a condition", () => {
  it.each([
    ["settings.color == 'blue' && node.role != 'storage'", true],
    ["node.inventory.cpus * 2 == 16 && node.inventory.memory_bytes >= 64 * 1024 * 1024 * 1024", true],
    ["parameters.share > 1 && 443 in parameters.ports", true],
    ["'n3' in roles.compute", false],
    ["has(settings.size) && settings.size == 'big'", false],
    ["node.labels.rack.upperAscii() == 'R1' && node.name.matches('^n[0-9]$')", true],
    ["nodes.exists(n, n.role == 'compute' && n.name != node.name)", true],
    ["changed('install') && !changed('start') && !changed('other')", true],
    ["tasks.install.facts.version.startsWith('1.')", true],
  ])("%s is %s", (text, value) => {
    expect(checkExpression(text)).toBeUndefined();
    expect(evaluate(text, values)).toEqual({ value });
  });

  it("says what there is not while it is evaluated, and that it must be true or false", () => {
    expect(evaluate("settings.size == 'big'", values)).toEqual({
      fault: "there is no `size`: ask with `has()` first if it may be missing",
    });
    expect(evaluate("settings.color", values)).toEqual({
      fault: "it gives text, and a condition is true or false",
    });
    expect(evaluate("settings.constructor == settings.color", values)).toHaveProperty("fault");
  });

  it("sees the values of the call, not those of the one before", () => {
    expect(evaluate("changed('install')", values)).toEqual({ value: true });
    expect(evaluate("changed('install')", { tasks: {} })).toEqual({ value: false });
  });
});

describe("a condition that cannot be evaluated", () => {
  it.each([
    ["settings.color = 'blue'", "is not an expression: `=` does not fit at its character 16"],
    ["settings.color ==\n  'blue' 'red'", /in its line 2 at character/],
    ["setings.color == 'blue'", "reads `setings`, which there is not; did you mean `settings`?"],
    ["secrets.password == 'x'", /^reads `secrets`, which there is not/],
    ["lower(settings.color) == 'blue'", "calls `lower`, which there is not"],
    ["nodes.exists(n, m.role == 'compute')", /^reads `m`/],
    ["", /^is not an expression: it ends too early/],
    ["(".repeat(3000), /is not an expression/],
    ["a".repeat(5000), /is longer than/],
  ])("%s", (text, fault) => {
    expect(checkExpression(text)).toMatch(fault);
  });
});

it.each([
  ["settings.color == 'blue'", false],
  ["nodes.exists(n, n.role == 'x')", false],
  ["parameters.tasks == 'x'", false],
  ["changed('x')", true],
  ["tasks.x.outcome == 'ok'", true],
  ["nodes.exists(n, n.tasks.x.outcome == 'ok')", true],
  ["nodes[0]['tasks'].x.outcome == 'ok'", true],
  ["nodes.exists(n, n[settings.color] == 'x')", true],
  ["node.address != ''", true],
  ["deployment == 'demo-1'", true],
])("whether `%s` needs what only a deployment knows: %s", (text, needs) => {
  expect(readsRuntime(text)).toBe(needs);
});

it("knows a condition that can come out differently on another node", () => {
  expect(readsOwnNode("node.role == 'x'")).toBe(true);
  expect(readsOwnNode("nodes.exists(node, node.role == 'x')")).toBe(false);
});
