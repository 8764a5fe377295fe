import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  DeploymentSchema,
  type Plan,
  Step_State,
  StepSchema,
  TaskRecordSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { put } from "./state.ts";
import { stepOf, TaskWorld } from "./task-plan-fixture.ts";
import { valuesOf } from "./values.ts";

function deployed(...tasks: string[]): {
  world: TaskWorld;
  plan: Plan;
  values: (id: string) => ReturnType<typeof valuesOf>;
} {
  const world = new TaskWorld(["controller", "compute"]);
  world.cluster(["controller", "compute"], ", domain: lab.example, settings: {color: blue}");
  world.apply("{kind: Node, name: n2, macs: ['52:54:00:00:00:02'], labels: {rack: r1}}");
  world.tasks(...tasks);
  const plan = world.plan();
  const deployment = create(DeploymentSchema, { name: "demo-2", cluster: "demo", plan });
  world.state.apply(put({ case: "deployment", value: deployment }));
  const values = (id: string) => valuesOf(world.state, deployment, stepOf(plan, id));
  return { world, plan, values };
}

describe("what a step can read", () => {
  it("is its cluster, its node and its parameters", () => {
    const { values } = deployed("a: {roles: ['*'], parameters: {ports: [80, {tls: true}]}}");
    expect(values("n2/a")).toMatchObject({
      settings: { color: "blue" },
      cluster: { name: "demo", domain: "lab.example" },
      deployment: "demo-2",
      node: {
        name: "n2",
        hostname: "n2",
        fqdn: "n2.lab.example",
        role: "compute",
        labels: { rack: "r1" },
        inventory: {
          disks: [{ name: "vda", size_bytes: 6 * 2 ** 30 }],
          nics: [{ mac: "52:54:00:00:00:01" }],
        },
      },
      parameters: { ports: [80, { tls: true }] },
      roles: { controller: ["n1"], compute: ["n2"] },
      tasks: {},
    });
  });

  it("has the nodes only where they are asked for, with the results of their tasks only where these are", () => {
    const { values, world } = deployed(
      "a: {roles: ['*'], shell: {command: 'echo'}}",
      "b: {roles: ['*'], template: {path: /x, content: '{{ nodes[0].name }}'}}",
      "c: {roles: ['*'], condition: \"nodes.exists(n, 'a' in n.tasks)\"}",
    );
    record(world, "n1", "a", "demo-2", TaskOutcome.CHANGED, { port: 1 });
    expect(values("n1/a")).not.toHaveProperty("nodes");
    expect(values("n1/b").nodes).toMatchObject([
      { name: "n1", role: "controller", tasks: {} },
      { name: "n2" },
    ]);
    expect(values("n2/c").nodes).toMatchObject([
      { name: "n1", tasks: { a: { outcome: "changed", facts: { port: 1 } } } },
      { name: "n2", tasks: {} },
    ]);
  });

  it("has the newest success of each task: what an earlier deployment changed has not changed in this one", () => {
    const { values, world } = deployed(
      "a: {roles: ['*']}",
      "b: {roles: ['*']}",
      "c: {roles: ['*'], requires: [a, b]}",
    );
    record(world, "n1", "a", "demo-1", TaskOutcome.CHANGED, { v: 1 });
    record(world, "n1", "b", "demo-1", TaskOutcome.CHANGED, { v: 1 });
    record(world, "n1", "image", "demo-1", TaskOutcome.UNSPECIFIED, {});
    step(world, "n1", "b", TaskOutcome.SKIPPED);
    expect(values("n1/c").tasks).toEqual({
      a: { outcome: "ok", facts: { v: 1 }, result: "" },
      b: { outcome: "skipped", facts: { v: 1 }, result: "did b" },
    });
    step(world, "n1", "a", TaskOutcome.CHANGED, { v: 2 });
    expect(values("n1/c").tasks).toMatchObject({
      a: { outcome: "changed", facts: { v: 2 }, result: "did a" },
    });
  });
});

function record(
  world: TaskWorld,
  node: string,
  task: string,
  deployment: string,
  outcome: TaskOutcome,
  facts: object,
) {
  const value = create(TaskRecordSchema, {
    name: `${node}/${task}`,
    node,
    task,
    deployment,
    outcome,
    facts: { ...facts },
  });
  world.state.apply(put({ case: "taskRecord", value }));
}

function step(
  world: TaskWorld,
  node: string,
  task: string,
  outcome: TaskOutcome,
  facts?: Record<string, number>,
) {
  const name = `demo-2/${node}/${task}`;
  const fields = {
    name,
    deployment: "demo-2",
    node,
    task,
    state: Step_State.SUCCEEDED,
    result: `did ${task}`,
  };
  world.state.apply(put({ case: "step", value: create(StepSchema, { ...fields, outcome, facts }) }));
}
