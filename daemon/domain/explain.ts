// One line of why a thing is where it is and what would move it, for every state that it can be in. Pure: reads
// the records, guesses nothing.
import { Deployment_State, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { explainDeployment } from "./explain-deployment.ts";
import { explainNode } from "./explain-node.ts";
import { explainStep } from "./explain-step.ts";
import { type Reason, wordOf } from "./explain-text.ts";
import type { State } from "./state.ts";

export type Explanation = Reason & {
  /** `node/n1`, `deployment/demo-1`, `step/demo-1/n1/image`. */
  subject: string;
  /** In lower case, such as `awaiting approval`. */
  state: string;
};

/**
 * `name`: a node, a deployment or cluster, or a step; with `node/`, `deployment/` or `step/` before it only that
 * kind. Undefined: there is none.
 */
export function explain(state: State, name: string, nowMs: number): Explanation | undefined {
  const [, kind, rest = ""] = /^(node|deployment|step)\/(.+)$/.exec(name) ?? [];
  if (kind === "node") return ofNode(state, rest, nowMs);
  if (kind === "deployment") return ofDeployment(state, rest, nowMs);
  if (kind === "step") return ofStep(state, rest, nowMs);
  if (name.includes("/")) return ofStep(state, name, nowMs);
  return ofNode(state, name, nowMs) ?? ofDeployment(state, name, nowMs);
}

function ofNode(state: State, name: string, nowMs: number): Explanation | undefined {
  const node = state.nodes.get(name);
  if (!node) return undefined;
  return {
    subject: `node/${name}`,
    state: wordOf(Node_State, node.state),
    ...explainNode(state, node, nowMs),
  };
}

function ofDeployment(state: State, name: string, nowMs: number): Explanation | undefined {
  const deployment = state.deployment(name);
  if (!deployment) return undefined;
  return {
    subject: `deployment/${deployment.name}`,
    state: wordOf(Deployment_State, deployment.state),
    ...explainDeployment(state, deployment, nowMs),
  };
}

/** `CLUSTER/NODE/TASK` is the step of the cluster's newest deployment. */
function ofStep(state: State, name: string, nowMs: number): Explanation | undefined {
  const [owner = "", ...id] = name.split("/");
  const deployment = state.deployment(owner);
  const step = state.step([deployment?.name ?? owner, ...id].join("/"));
  if (!step) return undefined;
  return {
    subject: `step/${step.name}`,
    state: wordOf(Step_State, step.state),
    ...explainStep(state, step, nowMs),
  };
}
