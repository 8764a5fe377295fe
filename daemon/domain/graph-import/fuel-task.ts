// One task of Fuel as a task of Muster, with notes on all that is not as it was.

import { actionOf, type Difference, fuelDefaults, short } from "./fuel-action.ts";
import { dependenciesOf, type FuelWorld, nameOf, type Tell } from "./fuel-dependencies.ts";
import { type FuelRoles, wordsIn } from "./fuel-names.ts";
import { type FuelTask, isRecord, yaqlOf } from "./fuel-tasks.ts";
import type { ImportedDocument, Note, TaskLike } from "./imported.ts";
import { NotConvertible } from "./yaql.ts";
import { type Condition, conditionOf, legacyToYaql } from "./yaql-condition.ts";

export type ConvertedTask = { document: ImportedDocument; notes: Note[]; settings: string[] };

const knownFields = new Set(
  (
    "id type version role roles groups tags requires required_for cross-depends cross-depended-by condition " +
    "parameters fail_on_error reexecute_on refresh_on test_pre test_post stage"
  ).split(" "),
);
const knownParameters = new Set(
  (
    "timeout retries interval strategy cwd cmd puppet_manifest puppet_modules path data permissions dir_permissions " +
    "user_owner group_owner overwrite parents files nodes src dst slave_name provisioning_info"
  ).split(" "),
);

export function convertTask(task: FuelTask, world: FuelWorld): ConvertedTask {
  const notes: Note[] = [];
  const note = (degree: Note["degree"], message: string, at: readonly (string | number)[]) => {
    notes.push({ file: task.file, line: task.line(...at), subject: task.id, message, degree });
  };
  const differs: Tell = (message, ...at) => note("differs", message, at);
  tellUnknown(task, differs);
  const { action, differences, lost, settings } = placedAction(task, world);
  for (const { message, at } of differences) differs(message, ...at);
  if (lost) note("lost", lost.message, lost.at);
  const place = {
    name: nameOf(task, world),
    ...placeOf(task, world),
    ...dependenciesOf(task, world, differs),
  };
  // What does nothing needs no more than its place.
  const terms = lost ? undefined : termsOf(task, world, differs);
  const spec: TaskLike = { ...place, ...terms?.spec, ...action };
  const comments = [
    `${task.file}:${task.line()}`,
    ...notes.map(({ message, degree }) => (degree === "lost" ? `NOT CONVERTED: ${message}` : message)),
  ];
  return {
    document: { kind: "Task", comments, spec },
    notes,
    settings: [...settings, ...(terms?.settings ?? [])],
  };
}

/** What was written and is not read. */
function tellUnknown({ fields, repeated }: FuelTask, tell: Tell): void {
  for (const key of Object.keys(fields)) {
    if (!knownFields.has(key)) tell(`\`${key}\` means nothing to Muster`, key);
  }
  for (const key of Object.keys(isRecord(fields.parameters) ? fields.parameters : {})) {
    if (!knownParameters.has(key)) tell(`\`${key}\` means nothing to Muster`, "parameters", key);
  }
  for (const key of repeated) tell(`\`${key}\` is there twice, and the last one counts, as in Fuel`, key);
}

/** On which terms it runs: its condition, times and tests, and when again. */
function termsOf(task: FuelTask, { roles, withoutTests }: FuelWorld, tell: Tell) {
  const condition = readCondition(task.fields.condition, roles);
  if ("fault" in condition) {
    tell(`its condition is not carried over, so it always runs: ${condition.fault}`, "condition");
  }
  if (roleWords(task).includes("master")) tell("it is not done on Fuel's master", "role");
  const { expression, reexecuteOn, settings } = "fault" in condition ? always() : condition;
  const spec = {
    ...(expression ? { condition: expression } : {}),
    ...timingOf(task, tell),
    ...againOf(task, [...reexecuteOn], tell),
    ...(withoutTests ? {} : testsOf(task)),
  };
  return { spec, settings };
}

/** The action; none of a task that only Fuel's master would run. */
function placedAction(task: FuelTask, world: FuelWorld) {
  const converted = actionOf(task, world.modules);
  if (converted.lost || task.type === "stage" || rolesOf(task, world).length) return converted;
  const message = roleWords(task).length
    ? "runs on Fuel's master, where Muster runs nothing"
    : "has no role, so that Fuel runs it nowhere";
  const lost: Difference = { message, at: ["role"] };
  return { ...converted, action: { noop: {} }, differences: [], lost, settings: [] };
}

/** `tags` come before `role`, and this before `groups`, as in Fuel. */
function roleWords({ fields }: FuelTask): string[] {
  return wordsIn([fields.tags ?? fields.role ?? fields.roles ?? fields.groups ?? []]);
}

function rolesOf(task: FuelTask, { roles, tasks }: FuelWorld): string[] {
  // A group may name tasks that its roles run, in addition to their own.
  const groups = tasks.filter(
    ({ type, fields }) => type === "group" && wordsIn([fields.tasks]).includes(task.id),
  );
  return roles.meant([...roleWords(task), ...groups.flatMap(roleWords)]);
}

/** On which nodes, in which stage and graph. What the master or a stage did has one node to stand for all. */
function placeOf(task: FuelTask, world: FuelWorld): Record<string, unknown> {
  const roles = rolesOf(task, world);
  const once = roles.length === 0;
  const stage = world.stages.stageOf(task);
  return {
    roles: once ? ["*"] : roles,
    ...(once ? { run_once: true } : {}),
    ...(task.graph === "default" ? (stage === "deploy" ? {} : { stage }) : { graphs: [task.graph] }),
  };
}

function timingOf(task: FuelTask, tell: Tell): Record<string, unknown> {
  const { timeout, retries, interval, strategy } = isRecord(task.fields.parameters)
    ? task.fields.parameters
    : {};
  const usual = fuelDefaults[task.type];
  if (!usual) return {};
  const tries = typeof retries === "number" ? retries : usual.retries;
  const pause = typeof interval === "number" ? interval : usual.interval;
  return {
    timeout: `${typeof timeout === "number" && timeout > 0 ? timeout : usual.timeout}s`,
    ...(tries ? { retries: Math.min(tries, 100), interval: `${pause}s`, backoff: 1 } : {}),
    ...strategyOf(strategy, tell),
  };
}

function strategyOf(strategy: unknown, tell: Tell): Record<string, unknown> {
  if (!isRecord(strategy)) return {};
  const { type, amount } = strategy;
  if (type === "one_by_one") return { strategy: { type } };
  if (typeof amount === "number") return { strategy: { type: "parallel", amount } };
  const yaql = yaqlOf(amount);
  // As many as once the cluster is deployed: the last branch of a switch.
  const usual = Number(/true\s*=>\s*(\d+)\s*\)\s*$/.exec(yaql ?? "")?.[1] ?? 0);
  if (yaql !== undefined) {
    const taken = usual ? `${usual} at once are taken from it` : "no limit is taken from it";
    tell(
      `its amount is worked out by YAQL, \`${short(yaql)}\`: ${taken}`,
      "parameters",
      "strategy",
      "amount",
    );
  }
  return usual ? { strategy: { type: "parallel", amount: usual } } : {};
}

function againOf({ fields }: FuelTask, asked: string[], tell: Tell): Record<string, unknown> {
  const again = new Set(asked);
  const what = [again.has("settings") ? "any setting" : "", again.has("nodes") ? "the set of nodes" : ""];
  if (again.size) {
    tell(
      `done again when ${what.filter(Boolean).join(" or ")} has changed, not only what its condition names`,
      "condition",
    );
  }
  for (const word of wordsIn([fields.reexecute_on])) {
    if (word === "deploy_changes") again.add("deploy");
    else tell(`\`${word}\` is no event that Muster knows`, "reexecute_on");
  }
  if (wordsIn([fields.refresh_on]).length) {
    again.add("settings");
    tell(
      "`refresh_on` names what an operator overrides: done again when any setting has changed",
      "refresh_on",
    );
  }
  return {
    ...(again.size ? { reexecute_on: [...again] } : {}),
    ...(fields.fail_on_error === false ? { fail_on_error: false } : {}),
  };
}

function testsOf({ fields }: FuelTask): Record<string, string> {
  const command = (value: unknown) =>
    isRecord(value) && typeof value.cmd === "string" ? value.cmd : undefined;
  const [before, after] = [command(fields.test_pre), command(fields.test_post)];
  return { ...(before ? { test_pre: before } : {}), ...(after ? { test_post: after } : {}) };
}

function readCondition(value: unknown, roles: FuelRoles): Condition | { fault: string } {
  if (value === undefined || value === null || value === true) return always();
  if (value === false) return { ...always(), expression: "false" };
  const yaql = yaqlOf(value);
  if (yaql === undefined && typeof value !== "string") return { fault: "it is neither text nor YAQL" };
  try {
    return conditionOf(yaql ?? legacyToYaql(String(value)), (role) => roles.named(role));
  } catch (error) {
    if (error instanceof NotConvertible) return { fault: error.message };
    throw error;
  }
}

function always(): Condition {
  return { expression: "", reexecuteOn: new Set(), settings: new Set() };
}
