// `muster describe step DEPLOYMENT/NODE/TASK`: what it does, what it has changed and found out, how its log ends.
import type { JsonObject } from "@bufbuild/protobuf";
import { stringify } from "yaml";
import {
  type Deployment,
  type PlannedStep,
  type Step,
  Step_State,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { actionText, commandText, secretsText } from "../action-text.ts";
import type { Operator } from "../client.ts";
import { RefusedError } from "../errors.ts";
import { clean, dateTime, elapsed, formatProgress, timeMs } from "../format.ts";
import { itemNoun } from "../item-noun.ts";
import { type ChangeLine, changeLines } from "../task-changes.ts";
import { facts, indent } from "../text-table.ts";
import { isCheck, stepWord } from "../words.ts";
import { commandLines } from "./failures.ts";
import { lastLines } from "./log-end.ts";

const shownLogLines = 20;

export async function stepLines(
  operator: Operator,
  name: string,
  now: number,
): Promise<(string | ChangeLine)[]> {
  const [first = "", node, task, ...rest] = name.split("/");
  if (!node || !task || rest.length) {
    throw new RefusedError(`${name} names no step; a step is DEPLOYMENT/NODE/TASK or CLUSTER/NODE/TASK`);
  }
  const { deployment, steps } = await operator.deployments.getDeployment({ name: first });
  const step = steps.find((one) => one.node === node && one.task === task);
  if (!deployment || !step) throw new RefusedError(`there is no step ${name}`);
  const planned = deployment.plan?.steps.find(({ id }) => id === `${node}/${task}`);
  const log = step.attempt > 0 ? await lastLines(operator, step.name, shownLogLines) : [];
  return [
    ...facts([...stepFacts(step, deployment, now), ...(planned ? plannedFacts(planned) : [])]),
    ...longCommandLines(planned),
    ...changedLines(step, isCheck(deployment)),
    ...section("Facts", factLines(step)),
    ...section("End of its log", log),
    ...remedyLines(step, deployment),
  ];
}

type Fact = [name: string, value: string | undefined];

function stepFacts(step: Step, deployment: Deployment, now: number): Fact[] {
  const start = timeMs(step.startTime);
  return [
    ["Step", step.name],
    ["Node", step.node],
    ["State", stepWord(step, deployment).word],
    ["Reason", clean(step.reason)],
    ["Result", clean(step.result)],
    [
      "Progress",
      step.progress && !step.endTime ? formatProgress(step.progress, itemNoun(deployment, step)) : "",
    ],
    ["Attempt", step.attempt ? String(step.attempt) : ""],
    ["Exit code", step.exitCode ? String(step.exitCode) : ""],
    ["Started", start === undefined ? "" : dateTime(start)],
    ["Took", elapsed(step.startTime, step.endTime, now)],
  ];
}

function plannedFacts({ action, condition, requires, refreshOn, inputs }: PlannedStep): Fact[] {
  return [
    ["Does", actionText(action)],
    ["After", requires.join(", ")],
    ["Only if", clean(condition)],
    ["Only if changed", refreshOn.join(", ")],
    ["Sees secrets", secretsText(inputs)],
  ];
}

/** What one line cannot say. */
function longCommandLines(planned: PlannedStep | undefined): string[] {
  const command = commandText(planned?.action);
  return command.includes("\n") ? ["", ...commandLines(command)] : [];
}

function changedLines({ changes }: Step, check: boolean): (string | ChangeLine)[] {
  if (!changes.length) return [];
  const lines = changeLines(changes).map(({ text, tone }) => ({ text: `  ${text}`, tone }));
  return ["", check ? "Would change" : "Changed", ...lines];
}

function factLines({ facts: found }: Step): string[] {
  const json: JsonObject = found ?? {};
  return Object.keys(json).length ? stringify(json).trimEnd().split("\n").map(clean) : [];
}

function section(title: string, lines: string[]): string[] {
  return lines.length ? ["", title, ...indent(lines)] : [];
}

function remedyLines({ state, node, task }: Step, deployment: Deployment): string[] {
  if (state !== Step_State.FAILED || isCheck(deployment)) return [];
  const { name, cluster } = deployment;
  return [
    "",
    `try it again: muster retry ${name}`,
    `after a change of its manifest: muster deploy ${cluster} --tasks ${task} --nodes ${node}`,
  ];
}
