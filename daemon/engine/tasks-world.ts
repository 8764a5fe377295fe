// Deployments of config tasks alone, on nodes that are installed and whose agents are there.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { StepResult_Outcome as Outcome, StepResultSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import {
  type Plan,
  type PlannedStep,
  type PlannedStepSchema,
  PlanSchema,
  Purpose,
  type Step,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Environment, Node_State, NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { explain } from "../domain/explain.ts";
import { planStep } from "../domain/planned.ts";
import { result } from "../domain/report.ts";
import { put } from "../domain/state.ts";
import { World } from "./deployment-world.ts";

type StepInit = Omit<MessageInitShape<typeof PlannedStepSchema>, "$typeName" | "id" | "node" | "task">;
type ResultInit = Omit<MessageInitShape<typeof StepResultSchema>, "$typeName">;
type PlanInit = Omit<MessageInitShape<typeof PlanSchema>, "$typeName" | "nodes" | "steps">;

export class TasksWorld extends World {
  static override async start(nodes: string[]): Promise<TasksWorld> {
    const world = new TasksWorld();
    await world.open();
    for (const name of nodes) await world.declare(name);
    return world;
  }

  override declare(name: string) {
    const node = create(NodeSchema, {
      name,
      state: Node_State.READY,
      keyDigest: "k",
      cluster: "demo",
      online: true,
      environment: Environment.INSTALLED,
      bootId: "1",
      installed: { hostname: name, bootId: "1" },
    });
    return this.engine.decide((decision) => decision.change(put({ case: "node", value: node })));
  }

  /** What the agent of a running step says; `changed` unless it says otherwise. */
  ends(id: string, fields: ResultInit = {}) {
    const { node, token } = this.step(id);
    const told = { token, outcome: Outcome.SUCCEEDED, taskOutcome: TaskOutcome.CHANGED, result: "done" };
    return this.engine.decide((decision) =>
      result(decision, node, create(StepResultSchema, { ...told, ...fields })),
    );
  }

  fails(id: string, reason = "exit code 1") {
    return this.ends(id, { outcome: Outcome.FAILED, taskOutcome: TaskOutcome.UNSPECIFIED, reason });
  }

  /** Ids of the steps in a state. */
  in(state: Step["state"]): string[] {
    const steps = this.engine.state.steps(this.deployment()?.name ?? "");
    return steps.filter((step) => step.state === state).map(({ node, task }) => `${node}/${task}`);
  }

  why(id: string): string {
    return explain(this.engine.state, this.step(id).name, this.nowMs)?.why ?? "";
  }
}

/** A step that does nothing; `id`: NODE/TASK. */
export function task(id: string, requires: string[] = [], init: StepInit = {}): PlannedStep {
  const [node = "", name = ""] = id.split("/");
  const action = { kind: { case: "noop" as const, value: {} } };
  return planStep({ action, timeout: { seconds: 600n }, ...init, node, task: name, requires });
}

export function join(name: string, requires: string[], need = 0): PlannedStep {
  return task(`_/${name}`, requires, { action: { kind: { case: "join", value: { need } } } });
}

/** `roles`: by node; of role `worker` if they are not named. */
export function tasksPlan(
  steps: PlannedStep[],
  { roles = {}, ...init }: PlanInit & { roles?: Record<string, string> } = {},
): Plan {
  const names = [...new Set(steps.map(({ node }) => node))].filter((node) => node !== "_");
  const nodes = names.map((node) => ({ node, role: roles[node] ?? "worker" }));
  return create(PlanSchema, { cluster: "demo", purpose: Purpose.DEPLOY, hash: "h", ...init, nodes, steps });
}
