// What a plan can leave out because it has been done, and what the operator's flags forbid.
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { PlanFault } from "./planned.ts";
import type { State } from "./state.ts";
import { isProvisioning, wipesDisks } from "./tasks.ts";

/**
 * Marks the steps whose very action has succeeded on their node. Provisioning is done whole or not at all: it
 * begins with an empty disk.
 */
export function leaveOutUnchanged(state: State, steps: PlannedStep[]): void {
  const since = ({ node, task, digest }: PlannedStep) => {
    const record = state.taskRecords.get(node)?.get(task);
    return record?.digest === digest ? record.deployment : "";
  };
  const isProvisioned = new Map<string, boolean>();
  for (const step of steps.filter(({ task }) => isProvisioning(task))) {
    isProvisioned.set(step.node, (isProvisioned.get(step.node) ?? true) && since(step) !== "");
  }
  for (const step of steps) {
    if (isProvisioned.get(step.node)) step.unchangedSince = since(step);
    // Its digest says what was done; of a big cluster, the actions would be most of the plan.
    if (step.unchangedSince) step.action = undefined;
  }
}

/** The flags of nodes that the plan would not respect. */
export function flagFaults(state: State, steps: readonly PlannedStep[]): PlanFault[] {
  const tasksOf = new Map<string, string[]>();
  for (const { node, task, unchangedSince } of steps) {
    const tasks = tasksOf.get(node);
    if (unchangedSince) continue;
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
