// Checks tasks and graphs as a whole, with all that is there once a set of manifests is applied.
import type { GraphSpec, TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import { hintFor } from "../../proto/manifest/suggest.ts";
import { checkExpression } from "./conditions.ts";
import { builtInGraphs } from "./graph-choice.ts";
import { defaultGraph } from "./task-spread.ts";
import { isPattern, matcher, patternFault, type TaskWords } from "./task-words.ts";
import { isProvisioning } from "./tasks.ts";

type Report = (path: string, message: string) => void;

/** What there will be: stored and new. */
export type Catalogue = {
  tasks: ReadonlyMap<string, TaskSpec>;
  graphs: ReadonlyMap<string, GraphSpec>;
  roles: ReadonlySet<string>;
};

export function checkTask(task: TaskSpec, { tasks, graphs, roles }: Catalogue, report: Report): void {
  const { name, group } = task;
  const groups = new Set([...tasks.values()].flatMap((other) => (other.group ? [other.group] : [])));
  if (isProvisioning(name)) report("name", `\`${name}\` is the name of a provisioning step; choose another`);
  if (groups.has(name)) report("name", `\`${name}\` is the name of a group; choose another`);
  if (group && tasks.has(group)) report("group", `\`${group}\` is the name of a task; choose another`);
  if (isProvisioning(group))
    report("group", `\`${group}\` is the name of a provisioning step; choose another`);

  const taskWord = (path: string, word: string): void => {
    const fault = patternFault(word);
    const names = [...tasks.keys(), ...groups];
    if (fault) report(path, fault);
    else if (word === name) report(path, `\`${word}\` is the task itself, which cannot wait for itself`);
    else if (isProvisioning(word))
      report(path, `\`${word}\` is part of provisioning, which every task comes after: remove it`);
    else if (word === "*") report(path, "`*` stands for roles; for every task write `/./`");
    else if (!names.some(matcher(word))) {
      report(path, noSuchTask(word, names));
    }
  };
  const roleWord = (path: string, word: string): void => {
    const fault = patternFault(word);
    if (fault) report(path, fault);
    else if (word !== "*" && ![...roles].some(matcher(word)))
      report(path, `there is no role \`${word}\`${hintFor(word, [...roles])}`);
  };
  const across = (path: string, dependencies: TaskSpec["crossDepends"]): void => {
    dependencies.forEach((dependency, i) => {
      // Its own name is no matter here: the task of other nodes is meant, unless the role is the node itself.
      if (dependency.task !== name || dependency.role === "self")
        taskWord(`${path}[${i}].task`, dependency.task);
      if (dependency.role !== "self") roleWord(`${path}[${i}].role`, dependency.role);
    });
  };

  task.roles.forEach((role, i) => {
    roleWord(`roles[${i}]`, role);
  });
  task.requires.forEach((word, i) => {
    taskWord(`requires[${i}]`, word);
  });
  task.requiredFor.forEach((word, i) => {
    taskWord(`required_for[${i}]`, word);
  });
  task.refreshOn.forEach((word, i) => {
    taskWord(`refresh_on[${i}]`, word);
  });
  across("cross_depends", task.crossDepends);
  across("cross_depended_by", task.crossDependedBy);
  if (task.delegateTo) roleWord("delegate_to", task.delegateTo);
  task.graphs.forEach((graph, i) => {
    checkGraphName(`graphs[${i}]`, graph, graphs, report);
  });
  task.graphs.forEach((graph, i) => {
    if (graphs.get(graph)?.sequence.length)
      report(`graphs[${i}]`, `graph \`${graph}\` is a sequence of others and has no tasks of its own`);
  });
  const bad = task.condition ? checkExpression(task.condition) : undefined;
  if (bad) report("condition", bad);
}

/** What tasks wait for although there is no such task any more, in whole sentences. */
export function missingTasks(tasks: readonly TaskSpec[], words: TaskWords): string[] {
  return tasks.flatMap(({ name, requires, requiredFor, refreshOn, crossDepends, crossDependedBy }) => {
    const across = [...crossDepends, ...crossDependedBy].map(({ task }) => task);
    const unknown = [...requires, ...requiredFor, ...refreshOn, ...across].filter(
      (word) => words.find(word).length === 0,
    );
    return unknown.map((word) => `task ${name}: ${noSuchTask(word, words.names())}`);
  });
}

function noSuchTask(word: string, names: readonly string[]): string {
  if (isPattern(word)) return `no task or group matches \`${word}\``;
  return `there is no task or group \`${word}\`${hintFor(word, names)}`;
}

export function checkGraph(graph: GraphSpec, { graphs }: Catalogue, report: Report): void {
  const { name, sequence } = graph;
  if (name === defaultGraph && sequence.length)
    report("sequence", "the graph `default` has tasks of its own; name the sequence otherwise");
  sequence.forEach((next, i) => {
    checkGraphName(`sequence[${i}]`, next, graphs, report);
  });
  for (const [path, next] of [
    ["on_success", graph.onSuccess],
    ["on_error", graph.onError],
    ["on_stop", graph.onStop],
  ] as const) {
    if (!next) continue;
    if (sequence.length && path !== "on_success") {
      report(path, "is for a graph with tasks: of a sequence, each graph says itself what follows it");
    }
    checkGraphName(path, next, graphs, report);
    if (members(graphs, next).includes(defaultGraph))
      report(
        path,
        `\`${next}\` provisions nodes, which nothing but an operator may begin: name a graph of tasks`,
      );
  }
  const cycle = cycleFrom(graphs, name);
  if (cycle) report(cycle.path, `would never end: ${cycle.names.join(" -> ")}`);
}

function checkGraphName(
  path: string,
  name: string,
  graphs: ReadonlyMap<string, GraphSpec>,
  report: Report,
): void {
  const known = [...new Set([...builtInGraphs, ...graphs.keys()])];
  if (!known.includes(name))
    report(path, `there is no graph \`${name}\`${hintFor(name, known)}; declare it with \`kind: Graph\``);
}

/** A graph, and those that are in it. */
function members(
  graphs: ReadonlyMap<string, GraphSpec>,
  name: string,
  above: readonly string[] = [],
): string[] {
  if (above.includes(name)) return [];
  return [
    name,
    ...(graphs.get(name)?.sequence ?? []).flatMap((next) => members(graphs, next, [...above, name])),
  ];
}

/** From a graph back to itself, by what is in it and what follows it; and the field of the first step. */
function cycleFrom(
  graphs: ReadonlyMap<string, GraphSpec>,
  start: string,
): { names: string[]; path: string } | undefined {
  const seen = new Set<string>();
  const walk = (name: string): string[] | undefined => {
    for (const [, next] of nextOf(graphs.get(name))) {
      if (next === start) return [name, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = walk(next);
      if (found) return [name, ...found];
    }
    return undefined;
  };
  const names = walk(start);
  const [path = "name"] = nextOf(graphs.get(start)).find(([, next]) => next === names?.[1]) ?? [];
  return names && { names, path };
}

/** The graphs that a graph leads to, each with the field that names it. */
function nextOf(graph: GraphSpec | undefined): [field: string, name: string][] {
  if (!graph) return [];
  const { sequence, onSuccess, onError, onStop } = graph;
  const fields: [string, string][] = [
    ...sequence.map((name, i): [string, string] => [`sequence[${i}]`, name]),
    ["on_success", onSuccess],
    ["on_error", onError],
    ["on_stop", onStop],
  ];
  return fields.filter(([, name]) => name !== "");
}
