// Which part of a plan an operator asks for: nodes, tasks, a stretch of the order, or what failed before.
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { type PlannedStep, Purpose, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import type { PlanFault } from "./planned.ts";
import type { State } from "./state.ts";
import { joinNode } from "./task-order.ts";
import type { Place, Spread } from "./task-spread.ts";
import type { TaskWords } from "./task-words.ts";
import { isProvisioning, provisioningTasks } from "./tasks.ts";

export type SelectionOptions = {
  /** All if empty. */
  nodes?: readonly string[];
  /** Names, regular expressions, groups; all if empty. */
  tasks?: readonly string[];
  from?: string;
  until?: string;
  /** Only what failed, or was not reached, in the newest deployment. */
  failed?: boolean;
};

export const notAskedFor = "not asked for";

/** What can be said before the graph is ordered. */
export type Selection = {
  hasNode(node: string): boolean;
  /** Whether the node's provisioning is asked for: as a whole or not at all. */
  hasProvisioning(node: string): boolean;
  /** Ids of the steps to do again; nothing if that is no matter. */
  failed: ReadonlySet<string> | undefined;
};

export function selectNodes(
  state: State,
  cluster: Cluster,
  places: readonly Place[],
  options: SelectionOptions,
): Selection | { faults: PlanFault[] } {
  const known = places.map(({ node }) => node);
  const nodes = new Set(options.nodes);
  const strangers = [...nodes].filter((node) => !known.includes(node));
  if (strangers.length) {
    const message = `it is no node of cluster ${cluster.name}`;
    return { faults: strangers.map((node) => ({ node, message: `${message}${hintFor(node, known)}` })) };
  }
  const failed = options.failed ? failedSteps(state, cluster) : undefined;
  if (failed && "fault" in failed) return { faults: [{ node: "", message: failed.fault }] };
  const hasNode = (node: string) => nodes.size === 0 || nodes.has(node);
  // The first of its steps stands for all of them.
  const begins = !options.tasks?.length && (!options.from || options.from === provisioningTasks[0]);
  return {
    failed,
    hasNode,
    hasProvisioning: (node) =>
      begins && hasNode(node) && (!failed || provisioningTasks.some((task) => failed.has(`${node}/${task}`))),
  };
}

function failedSteps(state: State, { name, deployment: newest }: Cluster): Set<string> | { fault: string } {
  const deployment = state.deployments.get(newest);
  const { purpose } = deployment?.plan ?? {};
  if (!deployment || purpose === Purpose.RELEASE || purpose === Purpose.CHECK) {
    return { fault: `the newest deployment of ${name} is none of which anything could be done again` };
  }
  const isDone = (state: Step_State) => state === Step_State.SUCCEEDED || state === Step_State.SKIPPED;
  const open = state.steps(newest).filter(({ state, node }) => node !== joinNode && !isDone(state));
  if (open.length === 0) return { fault: `nothing has failed in ${newest}: there is nothing to do again` };
  return new Set(open.map(({ node, task }) => `${node}/${task}`));
}

/**
 * The config steps that are asked for. `order`: all steps of the plan as they come; `from` and `until` go by the
 * place of each task's first step.
 */
export function selectTasks(
  { hasNode, failed }: Selection,
  order: readonly PlannedStep[],
  spreads: readonly Spread[],
  words: TaskWords,
  { tasks = [], from = "", until = "" }: SelectionOptions,
): { isAsked(step: PlannedStep): boolean } | { faults: PlanFault[] } {
  const places = new Map<string, number>();
  for (const { node, task } of order) {
    if (node !== joinNode && !isProvisioning(task) && !places.has(task)) places.set(task, places.size);
  }
  const faults = [...tasks, ...[from, until].filter((word) => !standsForProvisioning(word, from, until))]
    .map((word) => wordFault(word, words, spreads))
    .filter((message) => message !== "");
  if (faults.length) return { faults: faults.map((message) => ({ node: "", message })) };
  const named = (word: string) => words.find(word).flatMap(({ name }) => places.get(name) ?? []);
  const first = !from || isProvisioning(from) ? 0 : Math.min(...named(from));
  const last = until === "" ? places.size : isProvisioning(until) ? -1 : Math.max(...named(until));
  const chosen = tasks.length
    ? new Set(tasks.flatMap((word) => words.find(word).map(({ name }) => name)))
    : undefined;
  const isAsked = ({ id, node, task }: PlannedStep) => {
    const place = places.get(task) ?? 0;
    const inRange = place >= first && place <= last;
    return inRange && hasNode(node) && (chosen?.has(task) ?? true) && (failed?.has(id) ?? true);
  };
  return { isAsked };
}

/** Provisioning is done as a whole: one can only begin with its first step and end with its last. */
function standsForProvisioning(word: string, from: string, until: string): boolean {
  if (word === "") return true;
  const isFirst = word === from && word === provisioningTasks[0];
  return isFirst || (word === until && word === provisioningTasks.at(-1));
}

function wordFault(word: string, words: TaskWords, spreads: readonly Spread[]): string {
  if (isProvisioning(word)) {
    return `${word} is a part of provisioning, which is done as a whole: from ${provisioningTasks[0]}, until ${provisioningTasks.at(-1)}`;
  }
  const found = words.find(word);
  if (found.length === 0) return `there is no task ${word}${hintFor(word, words.names())}`;
  const runs = found.some((task) => spreads.some((spread) => spread.task === task));
  return runs ? "" : `task ${word} runs on no node of this cluster in this graph`;
}
