// What a plan can leave out because it has been done, and what the operator's flags forbid.
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import type { TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import type { PlanFault } from "./planned.ts";
import type { State } from "./state.ts";
import type { TaskWords } from "./task-words.ts";
import { isProvisioning, wipesDisks } from "./tasks.ts";

/**
 * Marks the steps whose very action has succeeded on their node. Provisioning is done whole or not at all: it
 * begins with an empty disk. A step that refreshes on others stays while one of these does, and waits for its say.
 * `steps`: every step after those that it requires. `tasks`: those whose steps these are, by name.
 */
export function leaveOutUnchanged(
  state: State,
  steps: readonly PlannedStep[],
  tasks: ReadonlyMap<string, TaskSpec>,
  words: TaskWords,
): void {
  const isProvisioned = new Map<string, boolean>();
  for (const step of steps) {
    if (!isProvisioning(step.task) || step.skippedBecause) continue;
    isProvisioned.set(step.node, (isProvisioned.get(step.node) ?? true) && sinceWhen(state, step) !== "");
  }
  const live = new Set<string>();
  for (const step of steps) {
    const task = tasks.get(step.task);
    const since = isProvisioned.get(step.node) === false ? "" : sinceWhen(state, step);
    if (since && !step.skippedBecause && !task?.reexecuteOn.includes("deploy")) {
      step.refreshOn = task ? refreshing(step, task, words, live) : [];
      if (step.refreshOn.length === 0) step.unchangedSince = since;
      // Its digest says what was done; of a big cluster, the actions would be most of the plan.
      if (step.unchangedSince) {
        step.action = undefined;
        step.inputs = undefined;
      }
    }
    if (!isLeftOut(step)) live.add(step.id);
  }
}

/** The deployment in which it was done; nothing if it was not, or was only skipped, or has failed and was let pass. */
function sinceWhen(state: State, { node, task, digest }: PlannedStep): string {
  const record = state.taskRecords.get(node)?.get(task);
  if (record?.digest !== digest) return "";
  const undone = record.outcome === TaskOutcome.SKIPPED || record.outcome === TaskOutcome.IGNORED;
  return undone ? "" : record.deployment;
}

function refreshing(
  { node, task: name }: PlannedStep,
  { refreshOn }: TaskSpec,
  words: TaskWords,
  live: ReadonlySet<string>,
): string[] {
  const ids = refreshOn.flatMap((word) => words.find(word).map((other) => `${node}/${other.name}`));
  return [...new Set(ids)].filter((id) => id !== `${node}/${name}` && live.has(id));
}

/** The flags of nodes that the plan would not respect. */
export function flagFaults(state: State, steps: readonly PlannedStep[]): PlanFault[] {
  const tasksOf = new Map<string, string[]>();
  for (const step of steps) {
    const { node, task } = step;
    const tasks = tasksOf.get(node);
    if (isLeftOut(step)) continue;
    if (tasks) tasks.push(task);
    else tasksOf.set(node, [task]);
  }
  return [...tasksOf].flatMap(([name, tasks]) => {
    const node = state.nodes.get(name);
    const wipes = tasks.some(wipesDisks);
    const releases = tasks.includes("wipe");
    const faults: string[] = [];
    if (node?.maintenance) faults.push(`it is in maintenance: \`muster maintenance ${name} off\` ends that`);
    if (node?.protected && wipes)
      faults.push(`it is protected: \`muster protect ${name} off\` allows its disks to be wiped`);
    if (node?.retired && wipes && !releases)
      faults.push(`it is retired: \`muster retire ${name} off\` takes it back`);
    return faults.map((message) => ({ node: name, message }));
  });
}
