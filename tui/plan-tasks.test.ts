import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { PlannedStepSchema, PlanSchema, Purpose } from "../proto/gen/muster/v1/deployment_pb.ts";
import { orderLines } from "./plan-order.ts";
import { lossLines, planLines, sizeText, writtenNodes } from "./plan-text.ts";
import { plan as provisioning } from "./testing/plan.ts";
import { taskPlan } from "./testing/tasks.ts";

const textOf = (plan: typeof taskPlan) =>
  planLines(plan)
    .map(({ text }) => text)
    .join("\n");

describe("the tasks of a plan", () => {
  it("are said with their terms; what is left out by why; barriers stand in the order", () => {
    expect(textOf(taskPlan)).toMatchInlineSnapshot(`
      "Plan of graph upgrade for cluster demo: 3 nodes, 9 steps, 4 left out
      No disk is touched.

      Tasks
        database        n1     shell apt-get update … (2 lines)
            tried again 2 times, first after 30s
            tested after by: mysql -e 'select 1'
            sees secrets: db-password, api-token as token
        worker          n2 n3  template worker.conf.j2 to /etc/worker.conf
            only if, when its turn comes: tasks.database.facts.port > 0
            on at most 1 node at once
            if it fails, what waits for it goes on
        restart-worker  n2 n3  service worker: restarted
            only if it changes something: worker

      Left out
        not asked for: 3 steps (motd)
        its condition is false: settings.cache == 'yes': 1 step (cache)

      Terms
        role compute: if more than 1 of its 2 nodes fail, the deployment stops
        role controller: if any of its nodes fails, the deployment stops
        if it succeeds, these graphs follow: verify, report

      Order
        1.  database          n1
        2.  -- database-done         after all of: n1/database
        3.  worker            n2 n3  after -- database-done     at most 1 at once
        4.  restart-worker    n2 n3  after worker

      Plan hash a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4"
    `);
  });

  it("name their secrets, and where barriers are no steps they are not counted", () => {
    expect(textOf(taskPlan)).toContain("sees secrets: db-password, api-token as token");
    expect(sizeText(taskPlan)).toBe("3 nodes, 9 steps, 4 left out");
  });

  it("say of a check that it changes nothing", () => {
    const check = create(PlanSchema, { ...taskPlan, purpose: Purpose.CHECK, graph: "default" });
    expect(textOf(check).split("\n")[0]).toBe(
      "Plan of a check of cluster demo, which changes nothing: 3 nodes, 9 steps, 4 left out",
    );
  });

  it("say what a barrier waits for, and how many of it are enough", () => {
    const barrier = (need: number, left: string[]) =>
      orderLines([
        ...["n1", "n2", "n3"].map((node) =>
          create(PlannedStepSchema, {
            id: `${node}/a`,
            node,
            task: "a",
            skippedBecause: left.includes(node) ? "not asked for" : "",
          }),
        ),
        create(PlannedStepSchema, {
          id: "_/b",
          node: "_",
          task: "b",
          requires: ["n1/a", "n2/a", "n3/a"],
          action: { kind: { case: "join", value: { need } } },
        }),
      ]).at(-1);
    expect(barrier(0, [])).toContain("after all of: n1/a, n2/a, n3/a");
    expect(barrier(1, [])).toContain("after 1 of: n1/a, n2/a, n3/a");
    expect(barrier(2, ["n1"])).toContain("after 1 of: n2/a, n3/a");
    expect(barrier(1, ["n1"])).toContain("after nothing");
  });

  it("leave out barriers without a word", () => {
    const left = create(PlanSchema, {
      ...taskPlan,
      steps: taskPlan.steps.map((step) => ({
        ...step,
        skippedBecause: step.node === "_" ? "not needed" : "",
      })),
    });
    expect(textOf(left)).not.toContain("Left out");
  });

  it("are counted where they are many", () => {
    const names = Array.from({ length: 20 }, (_, i) => `n${i + 1}`);
    const many = create(PlanSchema, {
      ...taskPlan,
      steps: names.map((node) =>
        create(PlannedStepSchema, {
          id: `${node}/motd`,
          node,
          task: "motd",
          action: { kind: { case: "uploadFile", value: { path: "/etc/motd" } } },
        }),
      ),
    });
    expect(textOf(many)).toContain("motd  20 nodes n[1-20]  file /etc/motd");
  });
});

describe("disks of a plan", () => {
  it("are not written where partition is left out, or no step of the plan writes them", () => {
    const left = create(PlanSchema, {
      ...provisioning,
      steps: provisioning.steps.map((one) => ({
        ...one,
        skippedBecause: one.node === "n1" ? "not asked for" : "",
      })),
    });
    expect(writtenNodes(left).map(({ node }) => node)).toEqual(["n2", "n3"]);
    expect(lossLines(left).some((text) => text.startsWith("n1"))).toBe(false);
    expect(textOf(left)).toContain("its disks stay as they are: not asked for");
    const other = create(PlanSchema, { ...provisioning, steps: taskPlan.steps });
    expect(lossLines(other)).toEqual([]);
    expect(textOf(other)).toContain("its disks stay as they are: no step of this plan writes them");
  });
});
