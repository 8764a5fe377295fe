// Config tasks on the screens: outcomes, barriers, progress in things, and what a check has found.
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  type Deployment,
  ProgressSchema,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { emptyWorld, type World } from "../model.ts";
import * as fixtures from "../testing/fixtures.ts";
import { checkDeployment, checkSteps, taskPlan } from "../testing/tasks.ts";
import { glyphsFor } from "../theme.ts";
import { deploymentScreen } from "./deployment.ts";
import { deploymentsScreen } from "./deployments.ts";
import { type Scene, textOf } from "./lines.ts";
import { logScreen, logsScreen } from "./logs.ts";
import { nodeScreen } from "./node.ts";

function world(deployment: Deployment, steps: Step[]): World {
  const known = emptyWorld();
  known.complete = true;
  known.clusters.set("demo", fixtures.cluster);
  for (const node of fixtures.nodes) known.nodes.set(node.name, node);
  known.deployments.set(deployment.name, deployment);
  for (const step of steps) known.steps.set(step.name, step);
  return known;
}

const scene = (known: World): Scene => ({
  world: known,
  now: fixtures.now,
  width: 100,
  glyphs: glyphsFor({}),
});
const text = ({
  head,
  body,
}: {
  head: Parameters<typeof textOf>[0][];
  body: Parameters<typeof textOf>[0][];
}) => [...head, ...body].map((line) => textOf(line).trimEnd()).join("\n");

const run: Deployment = { ...fixtures.deployment, plan: taskPlan, graph: taskPlan.graph, reason: "" };
const { CHANGED, IGNORED } = TaskOutcome;
const { RUNNING, SUCCEEDED, PENDING } = Step_State;
const begun = { startTime: fixtures.secondsAgo(20) };
const over = { ...begun, endTime: fixtures.secondsAgo(10) };
const steps = [
  fixtures.step("n1/database", SUCCEEDED, { ...over, outcome: CHANGED, result: "it runs" }),
  fixtures.step("_/database-done", SUCCEEDED, over),
  fixtures.step("n2/worker", RUNNING, begun),
  fixtures.step("n3/worker", SUCCEEDED, { ...over, outcome: IGNORED, reason: "exit code 1" }),
  fixtures.step("n2/restart-worker", PENDING),
  fixtures.step("n3/restart-worker", PENDING),
];
const progress = create(ProgressSchema, {
  step: "demo-1/n2/worker",
  currentItems: 34,
  totalItems: 120,
  changedItems: 3,
  failedItems: 1,
});

describe("a deployment of tasks", () => {
  it("shows outcomes, progress in things, and a barrier in its place, which is on no node", () => {
    const known = world(run, steps);
    known.progress.set(progress.step, progress);
    expect(text(deploymentScreen(scene(known), "demo-1"))).toMatchInlineSnapshot(`
      "◐ running   graph upgrade   2/5 steps   1 changed   1 ignored   2m05s
      TASK                ○  ◐  ●  ✖  ▲  n1     n2     n3
      database                  1        ● 10s
      ── database-done ●
      worker                 1  1               ◐ 28%  ▲ 10s
      restart-worker      2                     ○      ○
      left out: not asked for: 3 steps (motd)
      left out: its condition is false: settings.cache == 'yes': 1 step (cache)
      ── Nodes ─────────────────────────────────────────────────────────────────────────────────────────
      ● n1  1/1  done            1 changed
      ◐ n2  0/2  worker          ███░░░░░░░░░░░ 28% 34/120, 3 changed, 1 failed
      ○ n3  1/2  restart-worker  pending"
    `);
  });

  it("that only checks shows what would change, once for nodes that are alike", () => {
    const known = world(checkDeployment, checkSteps);
    const shown = text(deploymentScreen(scene(known), "demo-1"));
    expect(shown.slice(shown.indexOf("── Would change"))).toMatchInlineSnapshot(`
      "── Would change ──────────────────────────────────────────────────────────────────────────────────
      worker on n2 n3 would change
        update file /etc/worker.conf
            --- /etc/worker.conf
            +++ /etc/worker.conf
            @@ -1 +1 @@
            -port = 1
            +port = 3306
      restart-worker on n3 cannot be checked: there is no systemd
      database on n1 was not looked at: its manifest has no check
      restart-worker on n2 would change nothing"
    `);
    expect(shown).toContain("check of graph upgrade   changes nothing");
    expect(text(deploymentsScreen(scene(known)))).toContain("demo-1 check of graph upgrade");
    expect(shown).toContain("2 would change");
  });
});

describe("a node with tasks", () => {
  it("says how each went, and what the one that failed does", () => {
    const known = world(run, steps);
    expect(text(nodeScreen(scene(known), "n1"))).toMatch(/database +● changed +10s +it runs/);
    expect(text(nodeScreen(scene(known), "n3"))).toMatch(/worker +▲ ignored +10s +exit code 1/);
    const failed = fixtures.step("n1/database", Step_State.FAILED, { ...over, reason: "exit code 100" });
    const shown = text(nodeScreen(scene(world(run, [failed])), "n1"));
    expect(shown).toContain("database on n1: exit code 100\nshell apt-get update … (2 lines)");
  });
});

describe("logs of tasks", () => {
  it("end with what was changed; a barrier has none", () => {
    const known = scene(world(checkDeployment, checkSteps));
    expect(text(logsScreen(known))).not.toContain("database-done");
    const shown = text(
      logScreen(known, "demo-1/n2/worker", { lines: ["done"], ended: true, error: "" }, false),
    );
    expect(shown).toMatch(/done\nend of log\n── Would change ─+\nupdate file .+\n {4}--- .+\n/);
  });
});
