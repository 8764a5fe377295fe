// What the client knows of the daemon's state, and how each message of the Watch stream changes it. Pure but
// for its own maps; the store publishes copies.
import type { Cluster } from "../proto/gen/muster/v1/cluster_pb.ts";
import {
  type Deployment,
  type Progress,
  type Step,
  Step_State,
} from "../proto/gen/muster/v1/deployment_pb.ts";
import type { Image } from "../proto/gen/muster/v1/image_pb.ts";
import type { Node } from "../proto/gen/muster/v1/node_pb.ts";
import type { Event, Resource, WatchResponse } from "../proto/gen/muster/v1/watch_pb.ts";
import { skippedSteps } from "../proto/plan/skipped-steps.ts";

export type World = {
  nodes: Map<string, Node>;
  clusters: Map<string, Cluster>;
  images: Map<string, Image>;
  deployments: Map<string, Deployment>;
  steps: Map<string, Step>;
  /** Of running steps only. */
  progress: Map<string, Progress>;
  /** Oldest first. */
  events: Event[];
  revision: bigint;
  /** The snapshot has come to its end. */
  complete: boolean;
};

const eventLimit = 1000;

export function emptyWorld(): World {
  return {
    nodes: new Map(),
    clusters: new Map(),
    images: new Map(),
    deployments: new Map(),
    steps: new Map(),
    progress: new Map(),
    events: [],
    revision: 0n,
    complete: false,
  };
}

/** A copy whose maps nobody changes. */
export function copyWorld(world: World): World {
  return {
    ...world,
    nodes: new Map(world.nodes),
    clusters: new Map(world.clusters),
    images: new Map(world.images),
    deployments: new Map(world.deployments),
    steps: new Map(world.steps),
    progress: new Map(world.progress),
    events: [...world.events],
  };
}

export function applyResponse(world: World, response: WatchResponse): void {
  const { change } = response;
  switch (change.case) {
    case "put":
      put(world, change.value);
      break;
    case "deleted":
      remove(world, change.value);
      break;
    case "progress":
      keepProgress(world, change.value);
      break;
    case "snapshotEnd":
      world.complete = true;
      break;
    default:
      break;
  }
  if (response.revision > world.revision) world.revision = response.revision;
}

function put(world: World, { kind }: Resource): void {
  switch (kind.case) {
    case "node":
      world.nodes.set(kind.value.name, kind.value);
      break;
    case "cluster":
      world.clusters.set(kind.value.name, kind.value);
      break;
    case "image":
      world.images.set(kind.value.name, kind.value);
      break;
    case "deployment":
      if (!world.deployments.has(kind.value.name)) {
        for (const step of skippedSteps(kind.value)) world.steps.set(step.name, step);
      }
      world.deployments.set(kind.value.name, kind.value);
      break;
    case "step":
      world.steps.set(kind.value.name, kind.value);
      if (kind.value.state !== Step_State.RUNNING) world.progress.delete(kind.value.name);
      break;
    case "event":
      world.events.push(kind.value);
      if (world.events.length > eventLimit) world.events.splice(0, world.events.length - eventLimit);
      break;
    default:
      break;
  }
}

/** `step/demo-1/n1/image`: the kind, then the name. */
function remove(world: World, key: string): void {
  const slash = key.indexOf("/");
  const [kind, name] = [key.slice(0, slash), key.slice(slash + 1)];
  if (kind === "node") world.nodes.delete(name);
  else if (kind === "cluster") world.clusters.delete(name);
  else if (kind === "image") world.images.delete(name);
  else if (kind === "deployment") {
    world.deployments.delete(name);
    for (const step of world.steps.keys()) if (step.startsWith(`${name}/`)) world.steps.delete(step);
  } else if (kind === "step") {
    world.steps.delete(name);
    world.progress.delete(name);
  }
}

/** Progress has no revision and may overtake its step's end. */
function keepProgress(world: World, progress: Progress): void {
  const step = world.steps.get(progress.step);
  if (!step || step.state === Step_State.RUNNING) world.progress.set(progress.step, progress);
}

/** The steps of a deployment, in the order of its plan, without those that it leaves out from the beginning. */
export function stepsOf(world: World, deployment: Deployment): Step[] {
  if (deployment.plan?.steps.length) {
    const names = takenNames(deployment);
    return names.map((name) => world.steps.get(name)).filter((step) => step !== undefined);
  }
  return [...world.steps.values()].filter((step) => step.deployment === deployment.name);
}

// A screen asks many times a second, and of a big cluster for hundreds of thousands of names.
const takenByDeployment = new WeakMap<Deployment, string[]>();

function takenNames(deployment: Deployment): string[] {
  const known = takenByDeployment.get(deployment);
  if (known) return known;
  const taken = deployment.plan?.steps.filter(({ skippedBecause }) => !skippedBecause) ?? [];
  const names = taken.map(({ id }) => `${deployment.name}/${id}`);
  takenByDeployment.set(deployment, names);
  return names;
}

/** Of a deployment's steps those that its plan does not leave out from the beginning. */
export function stepsTaken({ plan }: Deployment, steps: readonly Step[]): Step[] {
  const left = new Set(plan?.steps.filter(({ skippedBecause }) => skippedBecause).map(({ id }) => id));
  return steps.filter(({ node, task }) => !left.has(`${node}/${task}`));
}

/** The newest deployment of a cluster. */
export function deploymentOf(world: World, cluster: Cluster): Deployment | undefined {
  return world.deployments.get(cluster.deployment);
}

/** The newest deployment of a node's cluster. */
export function deploymentOfNode(world: World, node: Node): Deployment | undefined {
  const cluster = world.clusters.get(node.cluster);
  return cluster && deploymentOf(world, cluster);
}

/** The progress of a step while it runs, or where it stood when it ended. */
export function progressOf(world: World, step: Step): Progress | undefined {
  return world.progress.get(step.name) ?? step.progress;
}

/** The steps of a node in its cluster's newest deployment. */
export function stepsOfNode(world: World, node: Node): Step[] {
  const deployment = deploymentOfNode(world, node);
  if (!deployment) return [];
  const names = stepNames(deployment).get(node.name) ?? [];
  return names.map((name) => world.steps.get(name)).filter((step) => step !== undefined);
}

// A table of nodes asks for the steps of each; going through the whole plan every time would be felt.
const namesByDeployment = new WeakMap<Deployment, Map<string, string[]>>();

/** The names of a deployment's steps by node, in the order of its plan. */
function stepNames(deployment: Deployment): Map<string, string[]> {
  const known = namesByDeployment.get(deployment);
  if (known) return known;
  const names = new Map<string, string[]>();
  for (const { id, node } of deployment.plan?.steps ?? []) {
    const chain = names.get(node);
    const name = `${deployment.name}/${id}`;
    if (chain) chain.push(name);
    else names.set(node, [name]);
  }
  namesByDeployment.set(deployment, names);
  return names;
}

/** What a node is at: its running step, else the one that nobody knows of, else the failed one. */
export function currentStep(world: World, node: Node): Step | undefined {
  const steps = stepsOfNode(world, node);
  for (const wanted of [Step_State.RUNNING, Step_State.UNKNOWN, Step_State.FAILED]) {
    const found = steps.find(({ state }) => state === wanted);
    if (found) return found;
  }
  return undefined;
}
