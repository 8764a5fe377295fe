import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  type Deployment,
  Deployment_State,
  DeploymentSchema,
  Step_State,
  StepSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { occupiedNodes, takenNodes } from "./occupied.ts";
import { put, State } from "./state.ts";

/** demo-1 has n1 and n2; n2's image step has failed. */
function world(state: Deployment["state"]): { state: State; demo: Deployment } {
  const all = new State();
  const demo = create(DeploymentSchema, {
    name: "demo-1",
    cluster: "demo",
    state,
    plan: { nodes: [{ node: "n1" }, { node: "n2" }] },
  });
  all.apply(put({ case: "deployment", value: demo }));
  for (const [node, end] of [
    ["n1", Step_State.SUCCEEDED],
    ["n2", Step_State.FAILED],
  ] as const) {
    const step = { name: `demo-1/${node}/image`, deployment: "demo-1", node, task: "image", state: end };
    all.apply(put({ case: "step", value: create(StepSchema, step) }));
    all.apply(put({ case: "node", value: create(NodeSchema, { name: node, cluster: "demo" }) }));
  }
  return { state: all, demo };
}

test("a node is not deployed by two clusters at once, though one has given it away by now", () => {
  const { state } = world(Deployment_State.RUNNING);
  expect(occupiedNodes(state, "blue", ["n2", "n3"])).toEqual([
    { node: "n2", message: "demo-1 is deploying it: wait for that or stop it" },
  ]);
  expect(occupiedNodes(state, "demo", ["n2"])).toEqual([]);
  expect(occupiedNodes(world(Deployment_State.FAILED).state, "blue", ["n2"])).toEqual([]);
});

test("a retry leaves alone what belongs to another cluster since", () => {
  const { state, demo } = world(Deployment_State.FAILED);
  expect(takenNodes(state, demo)).toEqual([]);
  for (const name of ["n1", "n2"]) {
    state.apply(put({ case: "node", value: create(NodeSchema, { name, cluster: "blue" }) }));
  }
  // n1 has nothing left to do.
  expect(takenNodes(state, demo)).toEqual([
    { node: "n2", message: "cluster blue has been deployed on it since: deploy demo again instead" },
  ]);
});
