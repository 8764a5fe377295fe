// A cluster of two nodes in a deployment, whose every record a test can set: for explanations.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ClusterSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  type Deployment,
  Deployment_State,
  DeploymentSchema,
  Step_State,
  StepSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { explain } from "./explain.ts";
import { put, State } from "./state.ts";

export const now = Date.UTC(2026, 10, 21, 12, 0, 0);
export const ago = (seconds: number) => timestampFromMs(now - seconds * 1000);
export const ahead = (seconds: number) => timestampFromMs(now + seconds * 1000);

export type StepInit = Partial<MessageInitShape<typeof StepSchema>>;
export type NodeInit = Partial<MessageInitShape<typeof NodeSchema>>;

/** n1 goes through its chain, n2/worker comes after n1/database. */
const chain = ["bootstrap", "partition", "image", "seed", "bootloader", "reboot"];
export const planned = [
  ...["n1", "n2"].flatMap((node) =>
    chain.map((task, at) => ({
      id: `${node}/${task}`,
      node,
      task,
      requires: at ? [`${node}/${chain[at - 1]}`] : [],
      retries: 1,
    })),
  ),
  { id: "n1/database", node: "n1", task: "database", requires: ["n1/reboot"], retries: 1 },
  { id: "n2/worker", node: "n2", task: "worker", requires: ["n2/reboot", "n1/database"], retries: 1 },
];

export class World {
  readonly state = new State();

  constructor() {
    this.node("n1", {}).node("n2", {});
    const spec = { nodes: ["n1", "n2"].map((node) => ({ node, role: "compute" })) };
    const cluster = create(ClusterSchema, { name: "demo", deployment: "demo-1", spec });
    this.state.apply(put({ case: "cluster", value: cluster }));
    this.deployment({});
    for (const { id } of planned) this.step(id, Step_State.PENDING);
  }

  node(name: string, init: NodeInit): this {
    const known = this.state.nodes.get(name);
    const value = create(NodeSchema, {
      ...(known ?? {
        name,
        state: Node_State.PROVISIONING,
        cluster: "demo",
        role: "compute",
        online: true,
        environment: Environment.BOOTSTRAP,
        lastSeenTime: ago(70),
      }),
      ...init,
    } as MessageInitShape<typeof NodeSchema>);
    this.state.apply(put({ case: "node", value }));
    return this;
  }

  deployment(init: Partial<Deployment>): this {
    const value = create(DeploymentSchema, {
      name: "demo-1",
      cluster: "demo",
      state: Deployment_State.RUNNING,
      plan: { cluster: "demo", steps: planned, hash: "abc" },
      startTime: ago(600),
      ...init,
    } as MessageInitShape<typeof DeploymentSchema>);
    this.state.apply(put({ case: "deployment", value }));
    return this;
  }

  step(id: string, state: Step_State, init: StepInit = {}): this {
    const [node = "", task = ""] = id.split("/");
    const began =
      state === Step_State.PENDING || state === Step_State.READY ? {} : { attempt: 1, startTime: ago(60) };
    const name = `demo-1/${id}`;
    const value = create(StepSchema, {
      name,
      deployment: "demo-1",
      node,
      task,
      state,
      ...began,
      ...init,
    } as MessageInitShape<typeof StepSchema>);
    this.state.apply(put({ case: "step", value }));
    return this;
  }

  /** n1 up to (not including) `task` has succeeded. */
  upTo(node: string, task: string): this {
    for (const earlier of chain.slice(0, chain.indexOf(task)))
      this.step(`${node}/${earlier}`, Step_State.SUCCEEDED);
    return this;
  }

  explain(name: string) {
    const found = explain(this.state, name, now);
    if (!found) throw new Error(`${name} is not explained`);
    return found;
  }
}
