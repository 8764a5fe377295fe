import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import {
  type Attempt,
  AttemptSchema,
  type Plan,
  type PlannedStepSchema,
  PlanSchema,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { graphDot, graphMermaid } from "./graph-marks.ts";
import { graphSvg } from "./graph-svg.ts";
import { graphLines } from "./graph-text.ts";
import { orderOf } from "./order.ts";
import { orderLines } from "./order-text.ts";
import { taskGraph } from "./task-graph.ts";

type Init = Omit<
  Exclude<MessageInitShape<typeof PlannedStepSchema>, { $typeName: string }>,
  "$typeName" | "$unknown"
>;

function step(id: string, requires: string[], init: Init = {}) {
  const [node = "", task = ""] = id.split("/");
  const shell = { kind: { case: "shell" as const, value: {} } };
  const join = { kind: { case: "join" as const, value: {} } };
  return { id, node, task, requires, action: node === "_" ? join : shell, ...init };
}

/** A database, then two workers that come together before a check. */
const plan: Plan = create(PlanSchema, {
  cluster: "demo",
  nodes: [
    { node: "d1", role: "database" },
    { node: "w1", role: "worker" },
    { node: "w2", role: "worker" },
  ],
  steps: [
    step("d1/base", []),
    step("w1/base", [], { action: undefined, unchangedSince: "demo-3" }),
    step("w2/base", []),
    step("d1/db", ["d1/base"], { limit: 1 }),
    step("w1/app", ["w1/base", "d1/db"], { condition: "changed('base')" }),
    step("w2/app", ["w2/base", "d1/db"], { hold: true }),
    step("_/app-done", ["w1/app", "w2/app"]),
    step("d1/check", ["d1/db", "_/app-done"]),
  ],
});

function attempt(step: string, seconds: number, state: Step_State = Step_State.SUCCEEDED): Attempt {
  const [node = "", task = ""] = step.split("/");
  const times = { startTime: timestampFromMs(1000), endTime: timestampFromMs(1000 + seconds * 1000) };
  return create(AttemptSchema, {
    name: `demo-1/${step}/1`,
    step: `demo-1/${step}`,
    node,
    task,
    state,
    ...times,
  });
}

describe("the graph of a plan", () => {
  it("has a box for each task, and edges within and between nodes", () => {
    const { boxes, edges } = taskGraph(plan);
    expect(boxes.map(({ task, level, roles }) => [task, level, roles])).toEqual([
      ["base", 0, ["every role"]],
      ["db", 1, ["database"]],
      ["app", 2, ["worker"]],
      ["_/app-done", 3, []],
      ["check", 4, ["database"]],
    ]);
    expect(edges).toEqual([
      { from: "base", to: "db", cross: false },
      { from: "base", to: "app", cross: false },
      { from: "db", to: "app", cross: true },
      { from: "app", to: "_/app-done", cross: true },
      { from: "db", to: "check", cross: false },
      { from: "_/app-done", to: "check", cross: true },
    ]);
  });

  it("leaves out what follows from the rest", () => {
    const chain = create(PlanSchema, {
      steps: [step("a/x", []), step("a/y", ["a/x"]), step("a/z", ["a/x", "a/y"])],
    });
    expect(taskGraph(chain).edges.map(({ from, to }) => from + to)).toEqual(["xy", "yz"]);
  });

  it("as lines", () => {
    expect(graphLines(taskGraph(plan)).join("\n")).toMatchInlineSnapshot(`
      "Graph default of cluster demo: 4 tasks, 7 steps
      1.  base        every role  d1 w1 w2                                  1 of 3 unchanged since demo-3
      2.  db          database    d1        after base                      at most 1 at once
      3.  app         worker      w1 w2     after base; db elsewhere        held, conditional
      4.  _/app-done  all nodes             after app elsewhere
      5.  check       database    d1        after db; _/app-done elsewhere"
    `);
  });

  it("in other tools' words", () => {
    const dot = graphDot(taskGraph(plan));
    expect(dot).toContain('  "base" [label="base\\nevery role\\n1 of 3 unchanged since demo-3"];');
    expect(dot).toContain('  "db" -> "app" [style=dashed];');
    expect(dot).toContain('  "base" -> "app";');
    const mermaid = graphMermaid(taskGraph(plan));
    expect(mermaid).toContain('  t3(["app-done"])');
    expect(mermaid).toContain("  t1 -.-> t2");
    expect(mermaid).toContain("  t0 --> t2");
  });

  it("as a picture, with every box and edge", () => {
    const svg = graphSvg(taskGraph(plan));
    expect(svg.match(/<path d="M[^"]+" fill="none"/g)).toHaveLength(6);
    expect(svg.match(/stroke-dasharray/g)).toHaveLength(3);
    for (const word of [">base<", ">app-done<", "check after _/app-done of other nodes"])
      expect(svg).toContain(word);
    const left = (word: string) => Number(new RegExp(`<text x="([\\d.]+)"[^>]*>${word}<`).exec(svg)?.[1]);
    expect(left("base")).toBeLessThan(left("db"));
    expect(left("app")).toBeLessThan(left("check"));
  });

  it("has levels also where tasks of different roles wait crosswise", () => {
    const crossed = create(PlanSchema, {
      steps: [step("a/x", []), step("b/y", []), step("a/y", ["a/x"]), step("b/x", ["b/y"])],
    });
    const { boxes, edges } = taskGraph(crossed);
    expect(edges).toHaveLength(2);
    expect(boxes.map(({ level }) => level).sort()).toEqual([0, 1]);
  });
});

describe("the order of a plan", () => {
  it("is in waves, without joins and what is left out", () => {
    const { waves, leftOut } = orderOf(plan, []);
    expect(waves.map((steps) => steps.map(({ id }) => id))).toEqual([
      ["d1/base", "w2/base"],
      ["d1/db"],
      ["w1/app", "w2/app"],
      ["d1/check"],
    ]);
    expect(leftOut).toBe(1);
  });

  it("has a critical path by what steps took the last time", () => {
    const attempts = [
      attempt("d1/base", 2),
      attempt("w2/base", 90),
      attempt("d1/db", 5),
      attempt("w1/app", 1),
      // Older, and of no use.
      attempt("d1/db", 500),
      attempt("w2/app", 99, Step_State.FAILED),
    ];
    const order = orderOf(plan, attempts);
    // Of w2/app nothing is known: it counts as w1/app.
    expect(order.path.map(({ id, lengthMs }) => [id, lengthMs])).toEqual([
      ["w2/base", 90_000],
      ["w2/app", 1000],
      ["d1/check", 1000],
    ]);
    expect(order).toMatchObject({ pathMs: 92_000, known: 4 });
    expect(orderLines(plan, order).slice(-4)).toEqual([
      "Critical path: at least 1m32s, by what 4 of 6 steps took the last time; the others as their task on other nodes, or 1s",
      "  w2/base   1m30s",
      "  w2/app    1s",
      "  d1/check  1s",
    ]);
  });

  it("counts every step the same if none has been done", () => {
    const lines = orderLines(plan, orderOf(plan, []));
    expect(lines[0]).toBe("Order of cluster demo: 6 steps in 4 waves, 1 left out");
    expect(lines).toContain("  3.  app    w1 w2  held: waits for a go, conditional");
    expect(lines).toContain("Critical path: 4 steps; none has been done before, so each counts the same");
  });

  it("waits at a join only for as many as it needs", () => {
    const join = { kind: { case: "join" as const, value: { need: 1 } } };
    const some = create(PlanSchema, {
      steps: [
        step("a/x", []),
        step("b/x", []),
        step("_/one", ["a/x", "b/x"], { action: join }),
        step("a/y", ["_/one"]),
      ],
    });
    const order = orderOf(some, [attempt("a/x", 50), attempt("b/x", 3), attempt("a/y", 60)]);
    expect(order.path.map(({ id }) => id)).toEqual(["b/x", "a/y"]);
    expect(order.pathMs).toBe(63_000);
  });
});
