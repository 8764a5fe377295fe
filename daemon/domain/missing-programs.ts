// Whether a new system has the programs that its config tasks need: better said before anything runs than after an
// hour. What was installed on a running system nobody knows here; its agent says it.
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Image } from "../../proto/gen/muster/v1/image_pb.ts";
import type { TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import type { PlanFault } from "./planned.ts";
import { actionText } from "./reads.ts";

/** By the name of the action; which packages bring it. */
const programs = {
  puppet: /^(puppet|puppet-agent|openvox-agent)=/,
  ansible: /^(ansible|ansible-core)=/,
} as const;
type Program = keyof typeof programs;

/** Of the programs that tasks need, those that an image with these packages (`NAME=VERSION`) does not have. */
export function missingPrograms(packages: readonly string[]): string[] {
  if (packages.length === 0) return [];
  return Object.entries(programs)
    .filter(([, brings]) => !packages.some((one) => brings.test(one)))
    .map(([name]) => name);
}

/** One fault per task. `imageOf`: what a node is installed with in this plan. */
export function programFaults(
  steps: readonly PlannedStep[],
  tasks: ReadonlyMap<string, TaskSpec>,
  imageOf: (node: string) => Image | undefined,
): PlanFault[] {
  const faults = new Map<string, PlanFault>();
  const earlier = new Map<string, TaskSpec[]>();
  const needing = [...tasks.values()].some(({ action }) => isProgram(action.case));
  for (const step of needing ? steps : []) {
    const task = tasks.get(step.task);
    if (!task || isLeftOut(step)) continue;
    const before = earlier.get(step.node) ?? [];
    const image = imageOf(step.node);
    const { case: kind } = task.action;
    if (
      isProgram(kind) &&
      image?.missingPrograms.includes(kind) &&
      !before.some((one) => mayBring(one, kind))
    ) {
      faults.set(task.name, { node: "", message: sentence(task.name, kind, image.name) });
    }
    before.push(task);
    earlier.set(step.node, before);
  }
  return [...faults.values()];
}

function isProgram(kind: TaskSpec["action"]["case"]): kind is Program {
  return kind !== undefined && kind in programs;
}

/** It installs the program, or is something of which nobody knows what it does. */
function mayBring(task: TaskSpec, program: Program): boolean {
  const { action } = task;
  if (action.case === "shell" && action.value.script !== "") return true;
  if (isProgram(action.case) && action.case !== program) return true;
  return actionText(task).includes(program) && action.case !== program;
}

function sentence(task: string, program: Program, image: string): string {
  return (
    `task ${task} needs ${program}, which image ${image} does not have: add it to the packages of the image's recipe, ` +
    `or to a task before this one, \`package: {install: [${program}]}\``
  );
}
