import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { PlanSchema, Purpose, Scope } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { done, muster, start } from "../testing/muster.ts";
import { planHash } from "../testing/plan.ts";
import { checkDeployment, checkSteps, taskPlan } from "../testing/tasks.ts";

const plan = checkDeployment.plan ?? taskPlan;

/** A daemon whose deployment demo-1 is a check that has ended. */
async function checked(planned = plan) {
  const asked: object[] = [];
  const planCluster = async (request: object) => {
    asked.push(request);
    return { plan: planned };
  };
  const fake = await start({ deployments: { planCluster } });
  fake.world.steps.clear();
  fake.put({ case: "deployment", value: checkDeployment });
  for (const value of checkSteps) fake.put({ case: "step", value });
  return { fake, asked };
}

describe("deploy --noop", () => {
  it("asks nothing, follows, and shows the changes of nodes that are alike once", async () => {
    const { fake, asked } = await checked();
    const { code, out } = await done(muster(fake.stateDir, "deploy demo --noop"));
    // One task could not be looked at.
    expect(code).toBe(1);
    expect(asked).toMatchObject([{ purpose: Purpose.CHECK }]);
    expect(fake.calls).toMatchObject([
      { method: "start", request: { purpose: Purpose.CHECK, scope: Scope.CHANGED, planHash } },
    ]);
    expect(out).toMatchInlineSnapshot(`
      "Checking graph upgrade of demo, changing nothing: 3 nodes, 9 steps, 4 left out
      Left out
        not asked for: 3 steps (motd)
        its condition is false: settings.cache == 'yes': 1 step (cache)
      deployment/demo-1 started
      12:00:00 n1 database skipped 3s: its manifest has no check
      12:00:00 n2 worker would change 3s
      12:00:00 n3 worker would change 3s
      12:00:00 n2 restart-worker ok 3s
      12:00:00 n3 restart-worker failed 3s: there is no systemd
      demo-1 failed after 5s, 4 of 5 steps done, 2 would change, 1 failed: 1 step failed
        n3/restart-worker: there is no systemd
          last 2 lines of its log on n3:
            | log of demo-1/n3/restart-worker
            | second line red
      see why: muster logs demo-1/n3/restart-worker

      worker on n2 n3 would change
        update file /etc/worker.conf
            --- /etc/worker.conf
            +++ /etc/worker.conf
            @@ -1 +1 @@
            -port = 1
            +port = 3306
      restart-worker on n3 cannot be checked: there is no systemd
      database on n1 was not looked at: its manifest has no check
      restart-worker on n2 would change nothing
      2 tasks on 2 nodes would change something; nothing has been changed"
    `);
  });

  it("colours diffs in a terminal, and not with NO_COLOR", async () => {
    const { fake } = await checked();
    const shown = await done(muster(fake.stateDir, "deploy demo --noop", { terminal: true }));
    expect(shown.out).toContain("\u001b[31m      -port = 1\u001b[39m");
    expect(shown.out).toContain("\u001b[32m      +port = 3306\u001b[39m");
    const env = { MUSTER_STATE_DIR: fake.stateDir, NO_COLOR: "1" };
    const plain = await done(muster(fake.stateDir, "deploy demo --noop", { terminal: true, env }));
    expect(plain.out).not.toContain("\u001b");
  });

  it("prints nothing but JSON with -o json", async () => {
    const { fake } = await checked();
    const { out, err } = await done(muster(fake.stateDir, "deploy demo --noop -o json"));
    const { items } = JSON.parse(out);
    expect(items).toHaveLength(5);
    expect(items[1]).toMatchObject({
      node: "n2",
      task: "worker",
      outcome: "TASK_OUTCOME_CHANGED",
      changes: [{ what: "file /etc/worker.conf", action: "update" }],
    });
    expect(err).toContain("deployment/demo-1 started");
  });

  it("starts nothing if nothing of it would be looked at", async () => {
    const nothing = create(PlanSchema, {
      ...plan,
      steps: taskPlan.steps.map((step) => ({ ...step, skippedBecause: "n1 is not installed" })),
    });
    const { fake } = await checked(nothing);
    const { code, out } = await done(muster(fake.stateDir, "deploy demo --noop"));
    expect([code, fake.calls]).toEqual([0, []]);
    expect(out).toContain("nothing is to be done of this in cluster demo");
    expect(out).toContain("n1 is not installed: 9 steps");
    const json = await done(muster(fake.stateDir, "deploy demo --noop -o json"));
    expect(JSON.parse(json.out)).toEqual({ items: [] });
  });

  it("is the only deployment that prints JSON", async () => {
    const { fake } = await checked();
    const { code, err } = await done(muster(fake.stateDir, "deploy demo -o json --yes"));
    expect([code, err, fake.calls]).toEqual([2, expect.stringContaining("--noop"), []]);
  });
});
