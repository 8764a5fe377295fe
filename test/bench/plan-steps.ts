// Plans a large graph: `node plan-steps.ts NODES TASKS` prints seconds of CPU and MiB of memory as JSON.
import { create } from "@bufbuild/protobuf";
import { planCluster } from "../../daemon/domain/plan.ts";
import { put, State } from "../../daemon/domain/state.ts";
import { ClusterSchema, DocumentSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { TaskRecordSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { inventoryOf } from "./fixture.ts";

const [nodes = 1000, tasks = 300] = process.argv.slice(2).map(Number);
const graph = "bench";
const state = new State();
const names = Array.from({ length: nodes }, (_, i) => `n${i}`);
for (const [index, name] of names.entries()) {
  const node = create(NodeSchema, {
    name,
    state: Node_State.READY,
    cluster: "bench",
    online: true,
    environment: Environment.INSTALLED,
    inventory: inventoryOf(index),
  });
  state.apply(put({ case: "node", value: node }));
  const record = create(TaskRecordSchema, { name: `${name}/reboot`, node: name, task: "reboot" });
  state.apply(put({ case: "taskRecord", value: record }));
}
const declared = { kind: { case: "graph" as const, value: { name: graph } } };
state.apply(
  put({ case: "document", value: create(DocumentSchema, { name: `graph/${graph}`, manifest: declared }) }),
);
for (let task = 0; task < tasks; task++) {
  // Chains of ten, each of which waits for the end of the one before it on every node.
  const begins = task % 10 === 0;
  const kind = {
    case: "task" as const,
    value: {
      name: `t${task}`,
      roles: ["*"],
      graphs: [graph],
      requires: begins ? [] : [`t${task - 1}`],
      crossDepends: begins && task > 0 ? [{ task: `t${task - 1}`, role: "*" }] : [],
      action: { case: "shell" as const, value: { command: "echo {{ settings.color }}" } },
    },
  };
  const value = create(DocumentSchema, { name: `task/t${task}`, manifest: { kind } });
  state.apply(put({ case: "document", value }));
}
const cluster = create(ClusterSchema, {
  name: "bench",
  spec: {
    name: "bench",
    nodes: names.map((node) => ({ node, role: "worker" })),
    settings: { color: "blue" },
  },
});
state.apply(put({ case: "cluster", value: cluster }));

globalThis.gc?.();
const before = process.cpuUsage();
const planned = planCluster(state, cluster, { graphs: [graph] });
const { user, system } = process.cpuUsage(before);
if (!("plan" in planned)) throw new Error(JSON.stringify(planned.faults.slice(0, 3)));
const own = planned.plan.steps.filter(({ node }) => node !== "_").length;
if (own !== nodes * tasks) throw new Error(`${own} steps instead of ${nodes * tasks}`);
console.log(
  JSON.stringify({
    seconds: (user + system) / 1e6,
    mebibytes: process.resourceUsage().maxRSS / 1024,
    steps: planned.plan.steps.length,
  }),
);
