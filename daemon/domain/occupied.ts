// Which nodes a deployment must leave alone: two deployments on one machine would wipe each other's disks.
import { type Deployment, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { PlanFault } from "./planned.ts";
import { isRunning } from "./schedule.ts";
import type { State } from "./state.ts";

/** The nodes of a cluster's plan that a running deployment of another cluster has in its own. */
export function occupiedNodes(state: State, cluster: string, nodes: string[]): PlanFault[] {
  const others = [...state.deployments.values()].filter(
    (deployment) => deployment.cluster !== cluster && isRunning(deployment),
  );
  return nodes.flatMap((node) => {
    const user = others.find(({ plan }) => plan?.nodes.some((planned) => planned.node === node));
    return user ? [{ node, message: `${user.name} is deploying it: wait for that or stop it` }] : [];
  });
}

/** The nodes that a deployment would go on with, but that another cluster has taken or is deploying now. */
export function takenNodes(state: State, { name, cluster }: Deployment): PlanFault[] {
  const unfinished = state
    .steps(name)
    .filter((step) => ![Step_State.SUCCEEDED, Step_State.SKIPPED].some((done) => done === step.state));
  const nodes = [...new Set(unfinished.map(({ node }) => node))];
  const taken = nodes.flatMap((node) => {
    const owner = state.nodes.get(node)?.cluster ?? "";
    const message = `cluster ${owner} has been deployed on it since: deploy ${cluster} again instead`;
    return owner && owner !== cluster ? [{ node, message }] : [];
  });
  return taken.length ? taken : occupiedNodes(state, cluster, nodes);
}
