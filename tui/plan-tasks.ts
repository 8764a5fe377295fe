// The config tasks of a plan as lines: what each does and when, what is left out and why, who may fail, what comes
// after. Pure.
import type { Plan, PlannedStep } from "../proto/gen/muster/v1/deployment_pb.ts";
import { actionText, isConfigAction, secretsText } from "./action-text.ts";
import { clean, durationMs, formatAge, plural } from "./format.ts";
import { nodesText } from "./node-names.ts";
import type { PlanLine } from "./plan-node.ts";
import { columns, indent } from "./text-table.ts";
import { isJoin } from "./words.ts";

/** So many names of tasks are listed; more are counted. */
const listedTasks = 8;

/** Each task once, unless it is not the same on all of its nodes. */
export function taskLines({ steps }: Plan): PlanLine[] {
  const done = steps.filter(({ action }) => isConfigAction(action));
  const groups = [...Map.groupBy(done, (step) => JSON.stringify([step.task, wordsOf(step)])).values()];
  const heads = columns(
    groups.map((group) => {
      const nodes = nodesText(group.map(({ node }) => node));
      return [group[0]?.task ?? "", nodes, actionText(group[0]?.action)];
    }),
  );
  const lines = groups.flatMap(([first], index) => [
    heads[index] ?? "",
    ...indent(first ? termsOf(first) : [], "    "),
  ]);
  return titled("Tasks", lines);
}

function wordsOf(step: PlannedStep): string[] {
  return [actionText(step.action), ...termsOf(step)];
}

/** On which terms it runs: what is not the usual. Ids of its own node are said without the node. */
function termsOf(step: PlannedStep): string[] {
  const { condition, refreshOn, limit, ignoreFailure, retries, inputs } = step;
  const own = refreshOn.map((id) => id.slice(id.indexOf("/") + 1));
  const secrets = secretsText(inputs);
  const pause = step.interval ? `, first after ${formatAge(durationMs(step.interval))}` : "";
  return [
    condition && `only if, when its turn comes: ${clean(condition)}`,
    own.length && `only if it changes something: ${own.join(", ")}`,
    limit && `on at most ${plural(limit, "node")} at once`,
    retries && `tried again ${retries === 1 ? "once" : `${retries} times`}${pause}`,
    ignoreFailure && "if it fails, what waits for it goes on",
    inputs?.testPre && `tested before by: ${clean(inputs.testPre)}`,
    inputs?.testPost && `tested after by: ${clean(inputs.testPost)}`,
    secrets && `sees secrets: ${secrets}`,
  ].filter((line): line is string => Boolean(line));
}

/** Steps that are not done, by why; what has not changed is said elsewhere. */
export function leftOutLines({ steps }: Plan): PlanLine[] {
  const left = steps.filter((step) => step.skippedBecause && !isJoin(step));
  const reasons = Map.groupBy(left, ({ skippedBecause }) => skippedBecause);
  const rows = [...reasons].map(([reason, members]) => {
    const tasks = [...new Set(members.map(({ task }) => task))];
    const names = tasks.length > listedTasks ? plural(tasks.length, "task") : tasks.join(", ");
    return `${clean(reason)}: ${plural(members.length, "step")} (${names})`;
  });
  return titled("Left out", rows);
}

/** How many nodes may fail, and the graphs that follow. */
export function termLines({ tolerances, sequence, nodes }: Plan): PlanLine[] {
  const lines = tolerances.map(({ role, mayFail }) => {
    const count = nodes.filter((node) => node.role === role).length;
    const few =
      mayFail === 0 ? "any of its nodes fails" : `more than ${mayFail} of its ${plural(count, "node")} fail`;
    return `role ${role}: if ${few}, the deployment stops`;
  });
  if (sequence.length) lines.push(`if it succeeds, these graphs follow: ${sequence.join(", ")}`);
  return titled("Terms", lines);
}

function titled(title: string, lines: string[]): PlanLine[] {
  if (lines.length === 0) return [];
  return [{ text: "" }, { text: title, tone: "heading" }, ...indent(lines).map((text) => ({ text }))];
}
