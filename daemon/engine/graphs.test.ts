// What follows a deployment that has ended: sequences of graphs, and the graphs that a graph names.
import { describe, expect, it } from "vitest";
import { StepResult_Outcome as Outcome } from "../../proto/gen/muster/v1/agent_pb.ts";
import { Deployment_State, Purpose, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { stopDeployment } from "../domain/control.ts";
import { startDeployment } from "../domain/deploy.ts";
import { type PlanOptions, planCluster } from "../domain/plan.ts";
import { applyTo, image, manifests, node } from "../domain/plan-fixture.ts";
import { put } from "../domain/state.ts";
import { TasksWorld } from "./tasks-world.ts";

const graphs = `
---
{kind: Task, name: tune, graphs: [tune], roles: ["*"], shell: {command: "true"}}
---
{kind: Task, name: verify, graphs: [verify], roles: [controller], shell: {command: "true"}}
---
{kind: Task, name: mend, graphs: [mend], roles: [controller], shell: {command: "true"}}
---
{kind: Graph, name: tune, on_success: verify, on_error: mend, on_stop: mend}
---
{kind: Graph, name: verify}
---
{kind: Graph, name: mend}
`;

class GraphWorld extends TasksWorld {
  /** The nodes of the cluster are installed. */
  static async begin(): Promise<GraphWorld> {
    const world = new GraphWorld();
    await world.open();
    await world.engine.decide((decision) => decision.change(put({ case: "image", value: image({}) })));
    for (const name of ["n1", "n2"]) {
      await world.declare(name);
      const { inventory } = node(name, 2);
      const installed = { name: `${name}/reboot`, node: name, task: "reboot" };
      await world.engine.decide((decision) => {
        decision.node(world.node(name), { inventory });
        decision.change(put({ case: "taskRecord", value: installed }));
      });
    }
    await world.engine.decide(({ state }) => expect(applyTo(state, manifests + graphs)).toEqual([]));
    return world;
  }

  deployed(options: PlanOptions) {
    return this.engine.decide((decision) => {
      const cluster = decision.state.clusters.get("demo");
      const planned = cluster && planCluster(decision.state, cluster, options);
      if (!cluster || !planned || !("plan" in planned)) throw new Error(JSON.stringify(planned));
      startDeployment(decision, cluster, planned.plan);
    });
  }

  /** The newest deployment, its graph, and what runs in it. */
  now() {
    const { name, plan } = this.deployment() ?? {};
    return [name, plan?.graph, ...this.in(Step_State.RUNNING)];
  }
}

describe("a deployment that has ended", () => {
  it("is followed by the next graph of its sequence, as long as each succeeds", async () => {
    const world = await GraphWorld.begin();
    await world.deployed({ graphs: ["verify", "mend", "tune"] });
    expect(world.now()).toEqual(["demo-1", "verify", "n1/verify"]);
    await world.ends("n1/verify");
    expect(world.now()).toEqual(["demo-2", "mend", "n1/mend"]);
    await world.fails("n1/mend");
    expect(world.now()).toEqual(["demo-2", "mend"]);
    await world.retry();
    await world.ends("n1/mend");
    expect(world.now()).toEqual(["demo-3", "tune", "n1/tune", "n2/tune"]);
  });

  it("is followed by the graph that its own names for how it has ended", async () => {
    const world = await GraphWorld.begin();
    await world.deployed({ graphs: ["tune"] });
    await world.ends("n1/tune");
    await world.ends("n2/tune");
    expect(world.now()).toEqual(["demo-2", "verify", "n1/verify"]);
    await world.ends("n1/verify");
    expect(world.deployment()).toMatchObject({ name: "demo-2", state: Deployment_State.SUCCEEDED });

    await world.deployed({ graphs: ["tune"] });
    await world.ends("n1/tune");
    await world.fails("n2/tune");
    expect(world.now()).toEqual(["demo-4", "mend", "n1/mend"]);
    await world.ends("n1/mend");

    await world.deployed({ graphs: ["tune"] });
    await world.operate((...args) => stopDeployment(...args, true));
    await world.ends("n1/tune", { outcome: Outcome.CANCELLED });
    expect(world.now()).toEqual(["demo-5", "tune", "n2/tune"]);
    await world.ends("n2/tune", { outcome: Outcome.CANCELLED });
    expect(world.now()).toEqual(["demo-6", "mend", "n1/mend"]);
  });

  it("is followed on the nodes only that were asked for", async () => {
    const world = await GraphWorld.begin();
    await world.deployed({ graphs: ["tune", "tune"], nodes: ["n2"] });
    await world.ends("n2/tune");
    expect(world.now()).toEqual(["demo-2", "tune", "n2/tune"]);
  });

  it("says why the next graph could not be started", async () => {
    const world = await GraphWorld.begin();
    await world.deployed({ graphs: ["verify", "tune"] });
    await world.engine.decide((decision) => decision.node(world.node("n2"), { maintenance: true }));
    await world.ends("n1/verify");
    expect(world.deployment()?.name).toBe("demo-1");
    const told = world.engine.state.events.find(({ reason }) => reason === "NEXT_GRAPH_NOT_STARTED");
    expect(told?.message).toContain(
      "graph tune was to follow, and cannot be started: n2: it is in maintenance",
    );
  });

  it("is checked graph by graph, and nothing that a graph names follows a check", async () => {
    const world = await GraphWorld.begin();
    await world.deployed({ graphs: ["verify", "tune"], purpose: Purpose.CHECK });
    await world.ends("n1/verify");
    expect(world.now()).toEqual(["demo-2", "tune", "n1/tune", "n2/tune"]);
    await world.ends("n1/tune");
    await world.ends("n2/tune");
    expect(world.engine.state.deployments.size).toBe(2);
    expect(world.engine.state.clusters.get("demo")?.deployment).toBe("");
  });
});
