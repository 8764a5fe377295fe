// A plan of config tasks with everything that a graph can have, and what a check of it has found.
import { create } from "@bufbuild/protobuf";
import {
  type Deployment,
  Deployment_State,
  DeploymentSchema,
  type Plan,
  PlanSchema,
  Purpose,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { secondsAgo, step } from "./fixtures.ts";
import { planHash } from "./plan.ts";

const shell = (command: string) => ({ kind: { case: "shell" as const, value: { command } } });
const join = (need = 0) => ({ kind: { case: "join" as const, value: { need } } });
const planned = (id: string, requires: string[] = []) => {
  const [node = "", task = ""] = id.split("/");
  return { id, node, task, requires };
};

/** n1 makes what n2 and n3 use; a barrier between; one task is left out, one waits for a change. */
export const taskPlan: Plan = create(PlanSchema, {
  cluster: "demo",
  hash: planHash,
  graph: "upgrade",
  sequence: ["verify", "report"],
  tolerances: [
    { role: "compute", mayFail: 1 },
    { role: "controller", mayFail: 0 },
  ],
  nodes: ["n1", "n2", "n3"].map((node) => ({
    node,
    role: node === "n1" ? "controller" : "compute",
    hostname: node,
  })),
  steps: [
    {
      ...planned("n1/database"),
      action: shell("apt-get update\napt-get install -y mariadb-server"),
      inputs: {
        secrets: { db_password: "db-password", token: "api-token" },
        testPost: "mysql -e 'select 1'",
      },
      retries: 2,
      interval: { seconds: 30n },
    },
    { ...planned("n1/motd"), skippedBecause: "not asked for" },
    ...["n2", "n3"].map((node) => ({ ...planned(`${node}/motd`), skippedBecause: "not asked for" })),
    { ...planned("n2/cache"), skippedBecause: "its condition is false: settings.cache == 'yes'" },
    { ...planned("_/database-done", ["n1/database", "n1/motd"]), action: join(2) },
    ...["n2", "n3"].map((node) => ({
      ...planned(`${node}/worker`, ["_/database-done", `${node}/motd`]),
      action: {
        kind: { case: "template" as const, value: { path: "/etc/worker.conf", source: "worker.conf.j2" } },
      },
      condition: "tasks.database.facts.port > 0",
      limit: 1,
      ignoreFailure: true,
    })),
    ...["n2", "n3"].map((node) => ({
      ...planned(`${node}/restart-worker`, [`${node}/worker`]),
      action: { kind: { case: "service" as const, value: { name: "worker", state: "restarted" } } },
      refreshOn: [`${node}/worker`],
    })),
  ],
});

const workerDiff = "--- /etc/worker.conf\n+++ /etc/worker.conf\n@@ -1 +1 @@\n-port = 1\n+port = 3306\n";
const ended = { startTime: secondsAgo(5), endTime: secondsAgo(2), attempt: 1 };

const worker = (node: string) =>
  step(`${node}/worker`, Step_State.SUCCEEDED, {
    ...ended,
    outcome: TaskOutcome.CHANGED,
    changes: [{ what: "file /etc/worker.conf", action: "update", diff: workerDiff }],
  });

/** As the steps of `demo-1`: the same change on two nodes, one that cannot be said, one that is not looked at. */
export const checkSteps: Step[] = [
  step("n1/database", Step_State.SUCCEEDED, {
    ...ended,
    outcome: TaskOutcome.SKIPPED,
    result: "its manifest has no check",
  }),
  step("_/database-done", Step_State.SUCCEEDED, ended),
  worker("n2"),
  worker("n3"),
  step("n2/restart-worker", Step_State.SUCCEEDED, { ...ended, outcome: TaskOutcome.OK }),
  step("n3/restart-worker", Step_State.FAILED, { ...ended, reason: "there is no systemd" }),
];

export const checkDeployment: Deployment = create(DeploymentSchema, {
  name: "demo-1",
  cluster: "demo",
  state: Deployment_State.FAILED,
  reason: "1 step failed",
  plan: create(PlanSchema, { ...taskPlan, purpose: Purpose.CHECK }),
  purpose: Purpose.CHECK,
  graph: taskPlan.graph,
  startTime: secondsAgo(6),
  endTime: secondsAgo(1),
});
