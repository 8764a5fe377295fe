import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { Deployment_State, PlanSchema, Scope, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type Event, EventSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { deployment, secondsAgo } from "../testing/fixtures.ts";
import { done, muster, start } from "../testing/muster.ts";
import { plan } from "../testing/plan.ts";
import { taskPlan } from "../testing/tasks.ts";
import { selectionWords } from "./selection.ts";

describe("a part of a cluster", () => {
  it("is the same in the plan and in what is started", async () => {
    const asked: object[] = [];
    const planCluster = async (request: object) => {
      asked.push(request);
      return { plan };
    };
    const fake = await start({ deployments: { planCluster } });
    const words =
      "--graph upgrade,verify --tasks motd,/^db-(a,b)/ --nodes n1,n[3-4] --from motd --until proxy";
    const { code } = await done(muster(fake.stateDir, `deploy demo ${words} --failed --all --yes --no-wait`));
    expect(code).toBe(0);
    const part = {
      graphs: ["upgrade", "verify"],
      tasks: ["motd", "/^db-(a,b)/"],
      nodes: ["n1", "n3", "n4"],
      from: "motd",
      until: "proxy",
      failed: true,
      scope: Scope.ALL,
    };
    expect(asked).toMatchObject([part]);
    expect(fake.calls).toMatchObject([{ method: "start", request: part }]);
    expect((await done(muster(fake.stateDir, `plan demo ${words} --failed --all`))).code).toBe(0);
    expect(asked[1]).toMatchObject(part);
  });

  it("is said again as it was typed", () => {
    const options = { graph: ["a"], tasks: ["x,y", "/^z$/"], nodes: ["n[1-3]"], failed: true, noop: true };
    expect(selectionWords(options)).toBe("--graph a --tasks 'x,y,/^z$/' --nodes 'n[1-3]' --failed --noop");
    expect(selectionWords({})).toBe("");
    expect(selectionWords({ selector: ["role = a"], from: "x" })).toBe("-l 'role = a' --from x");
  });

  it("has nodes by a filter, but none of another cluster", async () => {
    const filters: string[] = [];
    const listNodes = async ({ filter }: { filter: string }) => {
      filters.push(filter);
      return { nodes: [{ name: "n2" }, { name: "other" }] };
    };
    const fake = await start({ nodes: { listNodes } });
    await done(muster(fake.stateDir, "deploy demo -l role=compute --yes --no-wait"));
    expect(fake.calls).toMatchObject([{ request: { nodes: ["n2"] } }]);
    expect(filters).toEqual([expect.stringContaining("role")]);
    const none = await start({ nodes: { listNodes: async () => ({ nodes: [{ name: "other" }] }) } });
    const { code, err } = await done(muster(none.stateDir, "plan demo -l role=compute"));
    expect([code, err]).toEqual([2, "muster: no node of cluster demo is chosen by -l"]);
  });

  it("is refused if its nodes cannot be read", async () => {
    const fake = await start();
    const { code, err } = await done(muster(fake.stateDir, "plan demo --nodes n[1-"));
    expect([code, err]).toEqual([2, "muster: --nodes: `n[1-`: a `[` is not closed"]);
  });

  it("in which nothing is to be done says what is left out, and starts nothing", async () => {
    const nothing = create(PlanSchema, {
      ...plan,
      steps: plan.steps.map((step) => ({ ...step, skippedBecause: "not asked for" })),
    });
    const fake = await start({ deployments: { planCluster: async () => ({ plan: nothing }) } });
    const { code, out } = await done(muster(fake.stateDir, "deploy demo --tasks motd --yes"));
    expect([code, fake.calls]).toEqual([0, []]);
    expect(out).toContain("nothing is to be done of this in cluster demo: 3 nodes, 21 steps, 21 left out");
    expect(out).not.toContain("everything anew");
  });
});

describe("graphs one after the other", () => {
  const run = (name: string, state: Deployment_State) => ({
    ...deployment,
    name,
    state,
    reason: "",
    endTime: secondsAgo(0),
  });
  const told = (subject: string, reason: string, message: string) =>
    create(EventSchema, { subject: `deployment/${subject}`, reason, message });

  async function graphs(...events: Event[]) {
    const listEvents = async ({ filter }: { filter: string }) => ({
      events: events.filter(({ subject }) => filter === `subject = "${subject}"`),
    });
    const planCluster = async () => ({ plan: taskPlan });
    const fake = await start({ deployments: { planCluster }, watch: { listEvents } });
    for (const step of fake.world.steps.values())
      fake.put({ case: "step", value: { ...step, state: Step_State.SUCCEEDED } });
    fake.put({ case: "deployment", value: run("demo-1", Deployment_State.SUCCEEDED) });
    fake.put({ case: "deployment", value: run("demo-2", Deployment_State.FAILED) });
    fake.put({ case: "deployment", value: run("demo-3", Deployment_State.SUCCEEDED) });
    return fake;
  }

  it("are followed to the end of the last; one that has failed makes all of it a failure", async () => {
    const fake = await graphs(
      told("demo-1", "NEXT_GRAPH_STARTED", "graph verify follows: demo-2"),
      told("demo-2", "NEXT_GRAPH_STARTED", "graph roll-back follows: demo-3"),
      told("demo-3", "DEPLOYMENT_SUCCEEDED", "all steps succeeded"),
    );
    const { code, out } = await done(muster(fake.stateDir, "deploy demo --graph upgrade,verify --yes"));
    expect(code).toBe(1);
    const lines = out.split("\n").filter((line) => /^demo-\d|follows/.test(line));
    expect(lines.map((line) => line.split(" after")[0])).toEqual([
      "demo-1 succeeded",
      "graph verify follows: demo-2",
      "demo-2 failed",
      "graph roll-back follows: demo-3",
      "demo-3 succeeded",
    ]);
  });

  it("say why the next cannot begin", async () => {
    const why = "graph verify was to follow, and cannot be started: n1: it is not installed";
    const fake = await graphs(told("demo-1", "NEXT_GRAPH_NOT_STARTED", why));
    const { err } = await done(muster(fake.stateDir, "deploy demo --graph upgrade,verify --yes"));
    expect(err).toBe(`muster: ${why}`);
  });
});
