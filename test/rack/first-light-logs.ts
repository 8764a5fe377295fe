// What the tasks of examples/first-light must have written, read from their logs.
import type { Plan } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Operator } from "./operator.ts";

/** By task: the line that names the host it ran on. */
const expected: Record<string, (hostname: string) => string> = {
  "controller-ready": (hostname) => `controller-ready ${hostname}`,
  join: (hostname) => `join ${hostname} first-light`,
};

/** What is missing, one line per fault. */
export async function checkTaskLogs(operator: Operator, plan: Plan, signal: AbortSignal): Promise<string[]> {
  const faults: string[] = [];
  for (const { node, hostname } of plan.nodes) {
    for (const { task } of plan.steps.filter((step) => step.node === node)) {
      const words = expected[task]?.(hostname);
      if (!words) continue;
      const log = await readLog(operator, `${plan.cluster}/${node}/${task}`, signal);
      if (!log.includes(words)) faults.push(`${node}/${task}: its log does not say "${words}"`);
    }
  }
  return faults;
}

async function readLog(operator: Operator, step: string, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const { content } of operator.watch.tailLog({ step }, { signal })) {
    text += decoder.decode(content, { stream: true });
  }
  return text;
}
