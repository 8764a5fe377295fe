// What a failed step shows by itself: the command that was run, and the last lines of its log.
import type { Deployment, Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { RpcError } from "../../proto/rpc/status.ts";
import { commandText } from "../action-text.ts";
import type { Operator } from "../client.ts";
import { clean, plural } from "../format.ts";
import { lastLines } from "./log-end.ts";

/** Of so many tasks, and of each the first step: the others have failed in the same way more often than not. */
const detailedTasks = 3;
const shownLines = 8;

/** Lines by the names of steps. */
export async function failureDetails(
  operator: Operator,
  { plan }: Deployment,
  failed: readonly Step[],
): Promise<Map<string, string[]>> {
  const details = new Map<string, string[]>();
  const first = Map.groupBy(failed, ({ task }) => task).values();
  for (const [step] of first.take(detailedTasks)) {
    if (!step) continue;
    const planned = plan?.steps.find(({ id }) => id === `${step.node}/${step.task}`);
    const log = await logLines(operator, step);
    details.set(step.name, [...commandLines(commandText(planned?.action)), ...log]);
  }
  return details;
}

/** How the deployment has ended is told, whatever becomes of this. */
async function logLines(operator: Operator, { name, node }: Step): Promise<string[]> {
  try {
    const lines = await lastLines(operator, name, shownLines);
    const tail = lines.map((line) => `  | ${line}`);
    return tail.length ? [`last ${plural(tail.length, "line")} of its log on ${node}:`, ...tail] : [];
  } catch (error) {
    return [`its log cannot be read now: ${clean(RpcError.from(error).message)}`];
  }
}

export function commandLines(command: string): string[] {
  if (!command) return [];
  const [first = "", ...rest] = command.split("\n").map(clean);
  return rest.length ? ["command:", ...[first, ...rest].map((line) => `  ${line}`)] : [`command: ${first}`];
}
