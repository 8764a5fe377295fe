import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { DocumentSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { Deployment_State, DeploymentSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { neededTrees, treesToBackUp } from "./needed-files.ts";
import { put, State } from "./state.ts";

/** A stored task, a deployment that runs and one that has ended, each with a tree of its own. */
function stateOf(): State {
  const state = new State();
  const sources = { web: "of the task" };
  state.apply(put({ case: "document", value: create(DocumentSchema, { name: "task/web", sources }) }));
  for (const [name, deployment] of [
    ["demo-1", Deployment_State.SUCCEEDED],
    ["demo-2", Deployment_State.RUNNING],
  ] as const) {
    const steps = [
      { id: "n1/bootstrap", node: "n1", task: "bootstrap" },
      { id: "n1/web", node: "n1", task: "web", inputs: { sources: { web: `of ${name}` } } },
    ];
    const value = create(DeploymentSchema, { name, cluster: "demo", state: deployment, plan: { steps } });
    state.apply(put({ case: "deployment", value }));
  }
  return state;
}

it("are those of stored tasks and of every deployment", () => {
  expect([...neededTrees(stateOf())].sort()).toEqual(["of demo-1", "of demo-2", "of the task"]);
});

it("are in a backup unless only a deployment that has ended needs them", () => {
  expect([...treesToBackUp(stateOf())].sort()).toEqual(["of demo-2", "of the task"]);
});
