// The steps of config tasks, as they are before it is known which of them need not be done.
import { hash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { type StepAction, type StepInputs, StepInputsSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { digestOf, planStep } from "./planned.ts";
import { readerOf } from "./reads.ts";
import type { State } from "./state.ts";
import { actionOf, type Environment, environmentAt, inputsOf } from "./task-actions.ts";
import { atOnce, joinNode, type TaskOrder } from "./task-order.ts";
import type { Place, Spread } from "./task-spread.ts";

const defaultTimeout = create(DurationSchema, { seconds: 600n });

/** `first`: what each node's tasks wait for beside each other, such as its provisioning. */
export function taskSteps(
  state: State,
  cluster: Cluster,
  spreads: readonly Spread[],
  order: TaskOrder,
  first: (node: string) => string[],
): PlannedStep[] {
  const environments = new Map<string, Environment>();
  const environmentOf = (place: Place) => {
    const known = environments.get(place.node) ?? environmentAt(cluster, place);
    environments.set(place.node, known);
    return known;
  };
  const steps = spreads.flatMap((spread) => stepsOf(state, cluster, spread, order, first, environmentOf));
  const joins = order.joins.map(({ name, requires, action }) =>
    planStep({ node: joinNode, task: name, requires, action: { kind: { case: "join", value: action } } }),
  );
  return [...steps, ...joins];
}

function stepsOf(
  state: State,
  cluster: Cluster,
  { task, places, ids }: Spread,
  order: TaskOrder,
  first: (node: string) => string[],
  environmentOf: (place: Place) => Environment,
): PlannedStep[] {
  const sources = state.documents.get(`task/${task.name}`)?.sources ?? {};
  const inputs = inputsOf(task, sources);
  const reader = readerOf(state, cluster, task, inputs);
  const work = workOf(task, inputs);
  const { strategy, retries, hold, failOnError, interval, backoff } = task;
  const limit = strategy && strategy.type !== "batch" ? atOnce(strategy, places.length) : 0;
  // Every step is a copy: making each from nothing would take most of the time of a big plan.
  const pattern = planStep({
    node: "",
    task: task.name,
    timeout: task.timeout ?? defaultTimeout,
    retries,
    hold,
    limit,
    ignoreFailure: failOnError === false,
    interval,
    backoff,
  });
  return places.map((place) => {
    const { node } = place;
    const id = ids.get(node) ?? "";
    const requires = [...first(node), ...(order.requires.get(id) ?? [])];
    const { action, inputs: own, digest } = work(reader(place), environmentOf(place));
    return { ...pattern, id, node, requires, action, inputs: own, digest };
  });
}

type Work = { action: StepAction; inputs: StepInputs | undefined; digest: string };

/** Makes actions, inputs and digests. What is the same on many nodes is one object, and one digest. */
function workOf(
  task: Spread["task"],
  inputs: StepInputs | undefined,
): (reads: string, environment: Environment) => Work {
  const made = actionOf(task);
  const known = new Map<string, StepInputs | undefined>();
  const inputsFor = (reads: string) => {
    if (!known.has(reads)) known.set(reads, reads ? withReads(inputs, reads) : inputs);
    return known.get(reads);
  };
  // What is in the environment is known by `reads`, as far as the action reads it.
  const bare = digestOf(typeof made === "function" ? made({}) : made, inputs);
  return (reads, environment) => {
    const action = typeof made === "function" ? made(environment) : made;
    return { action, inputs: inputsFor(reads), digest: reads ? hash("sha256", bare + reads) : bare };
  };
}

function withReads(inputs: StepInputs | undefined, reads: string): StepInputs {
  return inputs ? { ...inputs, reads } : create(StepInputsSchema, { reads });
}
