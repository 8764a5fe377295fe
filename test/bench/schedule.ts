// What one step costs the engine, without disk and network: `node schedule.ts NODES TASKS` prints microseconds of CPU.
// Every node has a chain of tasks; the one in the middle also waits for the first node's task before it, as in
// astute-peer.rb. Agents answer at once.
import { create } from "@bufbuild/protobuf";
import { Decision } from "../../daemon/domain/decision.ts";
import { startDeployment } from "../../daemon/domain/deploy.ts";
import { planStep, sealPlan } from "../../daemon/domain/planned.ts";
import { result } from "../../daemon/domain/report.ts";
import { put, State } from "../../daemon/domain/state.ts";
import { StepResult_Outcome, StepResultSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import { ClusterSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  Deployment_State,
  NodePlanSchema,
  type PlannedStep,
  Purpose,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";

const warmUpNodes = 100;
const [nodes = 1000, tasks = 20] = process.argv.slice(2).map(Number);
microsecondsPerStep(warmUpNodes);
console.log(microsecondsPerStep(nodes).toFixed(1));

function microsecondsPerStep(count: number): number {
  const state = new State();
  const names = Array.from({ length: count }, (_, i) => `n${i}`);
  for (const name of names) state.apply(put({ case: "node", value: installedNode(name) }));
  const cluster = create(ClusterSchema, { name: "bench", spec: { name: "bench" } });
  const plan = sealPlan({
    cluster: "bench",
    purpose: Purpose.DEPLOY,
    nodes: names.map((node) => create(NodePlanSchema, { node, role: "worker" })),
    steps: Array.from({ length: tasks }, (_, task) => names.map((node) => stepOf(node, task))).flat(),
  });

  let revision = 0n;
  const assigned: string[] = [];
  const decide = (work: (decision: Decision) => void) => {
    const decision = new Decision(state, 1_700_000_000_000, ++revision);
    work(decision);
    for (const effect of decision.effects) if (effect.do === "assign") assigned.push(effect.step);
  };
  const before = process.cpuUsage();
  decide((decision) => startDeployment(decision, cluster, plan));
  // Grows while it is read.
  for (const name of assigned) {
    const step = state.step(name);
    if (!step) throw new Error(`there is no step ${name}`);
    const { token, fence, node } = step;
    const outcome = StepResult_Outcome.SUCCEEDED;
    const answer = create(StepResultSchema, { token, fence, outcome, result: "done" });
    decide((decision) => result(decision, node, answer));
  }
  const { user, system } = process.cpuUsage(before);
  const ended = state.deployment("bench");
  if (ended?.state !== Deployment_State.SUCCEEDED) throw new Error(`it has not succeeded: ${ended?.reason}`);
  return (user + system) / (count * tasks);
}

function stepOf(node: string, task: number): PlannedStep {
  const own = task > 0 ? [`${node}/t${task - 1}`] : [];
  const crosses = task === tasks / 2 && node !== "n0";
  return planStep({
    node,
    task: `t${task}`,
    requires: crosses ? [...own, `n0/t${task - 1}`] : own,
    action: { kind: { case: "noop", value: {} } },
    timeout: { seconds: 60n },
  });
}

function installedNode(name: string) {
  return create(NodeSchema, {
    name,
    state: Node_State.READY,
    cluster: "bench",
    online: true,
    environment: Environment.INSTALLED,
    bootId: "1",
  });
}
