import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  Deployment_State,
  DeploymentSchema,
  Purpose,
  Step_State,
  StepSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment } from "../../proto/gen/muster/v1/node_pb.ts";
import { put } from "./state.ts";
import { live, requires, stepOf, TaskWorld } from "./task-plan-fixture.ts";

const three = ["controller", "compute", "compute"];

function chain(): TaskWorld {
  const world = new TaskWorld(three);
  world.tasks(
    "a: {roles: ['*'], group: early}",
    "b: {roles: ['*'], requires: [a]}",
    "c: {roles: ['*'], requires: [b]}",
    "d: {roles: [controller], requires: [c]}",
  );
  return world;
}

const skipped = (world: TaskWorld, options: Parameters<TaskWorld["plan"]>[0]) =>
  world
    .plan(options)
    .steps.flatMap(({ id, skippedBecause }) => (skippedBecause ? [`${id}: ${skippedBecause}`] : []));

describe("a part of a plan", () => {
  it("is some nodes, whole; the others may be anything", () => {
    const world = chain();
    world.state.apply({ delete: "node/n3" });
    const plan = world.plan({ nodes: ["n2"] });
    expect(live(plan)).toEqual(["n2/a", "n2/b", "n2/c"]);
    expect(plan.nodes.map(({ node }) => node)).toEqual(["n2"]);
    expect(stepOf(plan, "n2/image").action).toBeDefined();
    expect(stepOf(plan, "n3/image")).toMatchObject({ skippedBecause: "not asked for" });
    expect(world.faults({ nodes: ["n9"] })).toEqual([
      "n9: it is no node of cluster demo; did you mean `n1`?",
    ]);
  });

  it("is some tasks, in their order although what is between them is left out", () => {
    const world = chain();
    world.done(world.plan());
    world.apply("{kind: Task, name: a, roles: ['*'], group: early, noop: {}, parameters: {x: 1}}");
    const plan = world.plan({ tasks: ["early", "/^d$/", "c"], scope: 2 });
    expect(live(plan).sort()).toEqual(["n1/a", "n1/c", "n1/d", "n2/a", "n2/c", "n3/a", "n3/c"]);
    expect(requires(plan, "n2/c")).toEqual(["n2/b", "n2/a"]);
    expect(stepOf(plan, "n2/image")).toMatchObject({ skippedBecause: "not asked for" });
    expect(plan.nodes[0]?.disks).toBeUndefined();
  });

  it("needs nodes that are installed", () => {
    expect(chain().faults({ tasks: ["a"], nodes: ["n1"] })).toEqual([
      "n1: it is not installed as a node of demo yet, and the tasks that you ask for run on its installed system: deploy it first",
    ]);
  });

  it("is a stretch of the order", () => {
    const world = chain();
    expect(live(world.plan({ until: "b" })).sort()).toEqual(["n1/a", "n1/b", "n2/a", "n2/b", "n3/a", "n3/b"]);
    expect(live(world.plan({ until: "reboot" }))).toEqual([]);
    expect(stepOf(world.plan({ until: "reboot" }), "n1/image").action).toBeDefined();
    world.done(world.plan());
    expect(live(world.plan({ from: "c", scope: 2 })).sort()).toEqual(["n1/c", "n1/d", "n2/c", "n3/c"]);
    expect(skipped(world, { from: "c", until: "c", scope: 2 })).toContain("n1/d: not asked for");
  });

  it("is refused for tasks that there are not", () => {
    const world = chain();
    expect(world.faults({ tasks: ["earyl"] })).toEqual(["there is no task earyl; did you mean `early`?"]);
    expect(world.faults({ from: "x" })[0]).toMatch(/^there is no task x/);
    expect(world.faults({ until: "image" })[0]).toMatch(/^image is a part of provisioning/);
    world.tasks("other: {roles: ['*'], graphs: [deletion]}");
    expect(world.faults({ tasks: ["other"] })).toEqual([
      "task other runs on no node of this cluster in this graph",
    ]);
  });

  it("is what failed, or was not reached, in the newest deployment", () => {
    const world = chain();
    const plan = world.plan();
    expect(world.faults({ failed: true })[0]).toMatch(/^the newest deployment of demo is none/);
    world.done(world.plan({ until: "reboot" }));
    const deployment = create(DeploymentSchema, {
      name: "demo-1",
      cluster: "demo",
      plan,
      state: Deployment_State.FAILED,
    });
    world.state.apply(put({ case: "deployment", value: deployment }));
    const states: Record<string, Step_State> = { "n2/b": Step_State.FAILED, "n2/c": Step_State.BLOCKED };
    for (const { id, node, task } of plan.steps) {
      const state = states[id] ?? Step_State.SUCCEEDED;
      const value = create(StepSchema, { name: `demo-1/${id}`, deployment: "demo-1", node, task, state });
      world.state.apply(put({ case: "step", value }));
    }
    const cluster = world.state.clusters.get("demo");
    if (cluster) world.state.apply(put({ case: "cluster", value: { ...cluster, deployment: "demo-1" } }));
    expect(live(world.plan({ failed: true }))).toEqual(["n2/b", "n2/c"]);
    expect(stepOf(world.plan({ failed: true }), "n2/image")).toMatchObject({
      skippedBecause: "not asked for",
    });
  });
});

describe("a check", () => {
  it("runs all tasks of the nodes that are installed, and nothing else", () => {
    const world = chain();
    world.done(world.plan({ nodes: ["n1", "n2"] }));
    const plan = world.plan({ purpose: Purpose.CHECK });
    expect(plan.purpose).toBe(Purpose.CHECK);
    expect(live(plan).sort()).toEqual(["n1/a", "n1/b", "n1/c", "n1/d", "n2/a", "n2/b", "n2/c"]);
    expect(plan.nodes.map(({ node, disks }) => [node, disks])).toEqual([
      ["n1", undefined],
      ["n2", undefined],
    ]);
    expect(stepOf(plan, "n1/image")).toMatchObject({ skippedBecause: "not run in a check" });
    expect(stepOf(plan, "n3/a").skippedBecause).toBe("not run in a check: its node is not installed");
  });
});

describe("a graph by name", () => {
  function graphs(): TaskWorld {
    const world = new TaskWorld(three);
    world.apply(
      [
        "{kind: Graph, name: verify}",
        "{kind: Graph, name: say}",
        "{kind: Graph, name: upgrade}",
        "{kind: Graph, name: all, sequence: [upgrade, verify], on_success: say}",
        "{kind: Task, name: a, roles: ['*'], noop: {}}",
        "{kind: Task, name: v, roles: ['*'], graphs: [verify], noop: {}}",
        "{kind: Task, name: both, roles: [controller], graphs: [default, verify], requires: [a], noop: {}}",
      ].join("\n---\n"),
    );
    return world;
  }

  it("has its own tasks, each time, on nodes that are installed", () => {
    const world = graphs();
    expect(live(world.plan()).sort()).toEqual(["n1/a", "n1/both", "n2/a", "n3/a"]);
    expect(world.plan()).toMatchObject({ graph: "default", sequence: [] });
    expect(world.faults({ graphs: ["verify"] })).toEqual(
      ["n1", "n2", "n3"].map(
        (n) =>
          `${n}: it is not installed as a node of demo yet, and graph verify runs on its installed system: deploy it first`,
      ),
    );
    world.done(world.plan());
    const plan = world.plan({ graphs: ["verify"] });
    world.done(plan);
    expect(live(world.plan({ graphs: ["verify"] })).sort()).toEqual(["n1/both", "n1/v", "n2/v", "n3/v"]);
    expect(plan.steps.every(({ task }) => task === "v" || task === "both")).toBe(true);
    expect(stepOf(plan, "n1/both").requires).toEqual([]);
  });

  it("may be several, or a sequence: the first is planned", () => {
    const world = graphs();
    expect(world.plan({ graphs: ["default", "all"] })).toMatchObject({
      graph: "default",
      sequence: ["upgrade", "verify", "say"],
    });
    expect(world.plan({ graphs: ["all"] })).toMatchObject({ graph: "upgrade", sequence: ["verify", "say"] });
    expect(world.faults({ graphs: ["verfy"] })).toEqual(["there is no graph verfy; did you mean `verify`?"]);
  });
});

describe("the deletion graph", () => {
  it("runs on nodes that are there, before they are released", () => {
    const world = new TaskWorld(three);
    world.tasks(
      "leave: {roles: [compute], graphs: [deletion]}",
      "say: {roles: ['*'], graphs: [deletion], requires: [leave]}",
    );
    const deployed = world.plan();
    world.done(deployed);
    const deployment = create(DeploymentSchema, { name: "demo-1", cluster: "demo", plan: deployed });
    world.state.apply(put({ case: "deployment", value: deployment }));
    const gone = world.state.nodes.get("n3");
    if (gone) world.state.apply(put({ case: "node", value: { ...gone, online: false } }));
    const plan = world.plan({ purpose: Purpose.RELEASE, nodes: ["n2", "n3"] });
    expect(plan.graph).toBe("deletion");
    expect(plan.steps.filter(({ node }) => node === "n2").map(({ id, requires }) => [id, requires])).toEqual([
      ["n2/leave", []],
      ["n2/say", ["n2/leave"]],
      ["n2/bootstrap", ["n2/leave", "n2/say"]],
      ["n2/wipe", ["n2/bootstrap"]],
    ]);
    expect(stepOf(plan, "n3/leave").skippedBecause).toBe("n3 does not run from its own disks now");
    expect(stepOf(plan, "n3/bootstrap").requires).toEqual([]);
    expect(Environment.INSTALLED).toBe(gone?.environment);
  });

  it("needs no plan of disks in the newest deployment to find those that were written", () => {
    const world = new TaskWorld(["compute"]);
    world.tasks("a: {roles: ['*']}");
    const plan = world.plan();
    world.done(plan);
    const store = (name: string, value: typeof plan, seconds: bigint) =>
      world.state.apply(
        put({
          case: "deployment",
          value: create(DeploymentSchema, { name, cluster: "demo", plan: value, startTime: { seconds } }),
        }),
      );
    store("demo-1", plan, 1n);
    store("demo-2", world.plan({ tasks: ["a"], scope: 2 }), 2n);
    const released = world.plan({ purpose: Purpose.RELEASE });
    expect(released.nodes[0]?.disks?.disks.map(({ serial }) => serial)).toEqual(["N1A"]);
  });
});

describe("a cluster", () => {
  it("has as many nodes of a role as that allows, and no role that another excludes", () => {
    const world = new TaskWorld(three);
    const limited = (name: string, fields: string) =>
      `{kind: Role, name: ${name}, image: debian, scheme: plain, ${fields}}`;
    world.apply(
      [limited("controller", "min: 3, conflicts: [compute]"), limited("compute", "max: 1")].join("\n---\n"),
    );
    expect(world.faults()).toEqual([
      "role controller: it would have 1 of the 3 nodes that it needs at least",
      "role controller: it cannot be in one cluster with compute",
      "role compute: it would have 2 nodes, and may have 1 at most",
    ]);
    expect(world.faults({ nodes: ["n1"] })).toEqual([]);
  });

  it("needs nodes to be deployed", () => {
    const world = new TaskWorld(["compute"]);
    world.state.apply({ delete: "cluster/demo" });
    world.apply("{kind: Cluster, name: demo, wants: [{role: compute, count: 2}]}");
    expect(world.faults()).toEqual([
      "it has no nodes yet: `muster assign demo --plan` proposes some, or name them in its manifest",
    ]);
  });
});
