// Fuel's task graphs as Muster's manifests. Whatever is not as it was is named with its line; what cannot be done at all
// stays as a task that does nothing, so that the order of the others is as it was.

import type { Modules } from "./fuel-action.ts";
import { FuelRoles, taskNames, wordsIn } from "./fuel-names.ts";
import { relationsOf, stagesOf } from "./fuel-stages.ts";
import { convertTask } from "./fuel-task.ts";
import { type FuelFile, type FuelTask, isRecord, readFuelTasks } from "./fuel-tasks.ts";
import { type Imported, type ImportedDocument, type Note, tallyOf } from "./imported.ts";

export type FuelOptions = {
  /** Roles by tag, beside those that Fuel ships. */
  tags?: ReadonlyMap<string, string[]>;
  withoutTests?: boolean;
  /** For manifests of the roles; without them the roles are only named. */
  image?: string;
  scheme?: string;
};

/** Graphs that are there without a manifest. */
const builtIn = ["default", "deletion"];

/** `others` are all files of the tree, relative to where the result will be. Throws an ImportRefusal. */
export function importFuel(
  files: FuelFile[],
  others: readonly string[],
  options: FuelOptions = {},
): Imported {
  const tasks = readFuelTasks(files);
  const names = taskNames(tasks);
  const roles = new FuelRoles(tasks, options.tags ?? new Map());
  const modules = modulesAmong(others, tasks);
  const documents: ImportedDocument[] = [];
  const notes: Note[] = [];
  const settings = new Set<string>();
  for (const [graph, members] of Map.groupBy(tasks, (task) => task.graph)) {
    if (!builtIn.includes(graph)) documents.push({ kind: "Graph", comments: [], spec: { name: graph } });
    const stages = stagesOf(members, relationsOf(members));
    const world = {
      tasks: members,
      names,
      roles,
      stages,
      modules,
      withoutTests: options.withoutTests === true,
    };
    for (const task of members) {
      if (task.type === "group" || (task.type === "stage" && !stages.isBarrier(task))) continue;
      const converted = convertTask(task, world);
      documents.push(converted.document);
      notes.push(...converted.notes.map((note) => ({ ...note, subject: `${graph}/${note.subject}` })));
      for (const setting of converted.settings) settings.add(setting);
    }
  }
  const used = usedRoles(documents);
  const tolerances = tolerancesOf(tasks, roles);
  const subjects = tasks.map(({ graph, id }) => `${graph}/${id}`);
  return {
    documents: [
      ...roleDocuments([...new Set([...used, ...tolerances.keys()])], tolerances, options),
      ...documents,
    ],
    notes,
    remarks: remarksOf(used, tolerances, settings, options),
    tally: tallyOf(subjects, notes),
  };
}

/** The master's directory of Puppet modules: the one below which the manifests of the tasks are. */
function modulesAmong(others: readonly string[], tasks: readonly FuelTask[]): Modules {
  const byName = Map.groupBy(
    others.filter((path) => path.endsWith(".pp")),
    (path) => path.slice(path.lastIndexOf("/") + 1),
  );
  const find = (path: string) => {
    const [source] = (byName.get(path.slice(path.lastIndexOf("/") + 1)) ?? []).filter((one) =>
      one.endsWith(`/${path}`),
    );
    return source ? { source, modules: source.slice(0, -path.length - 1) } : undefined;
  };
  const all = () => {
    for (const { fields } of tasks) {
      const { puppet_manifest: manifest, puppet_modules: root } = isRecord(fields.parameters)
        ? fields.parameters
        : {};
      if (typeof manifest !== "string" || typeof root !== "string") continue;
      const found = find(manifest.slice(root.replace(/\/+$/, "").length + 1));
      if (found) return found.modules;
    }
    return undefined;
  };
  return { find, all };
}

function usedRoles(documents: readonly ImportedDocument[]): string[] {
  const named = documents.flatMap(({ spec }) => wordsIn([spec.roles])).filter((role) => role !== "*");
  return [...new Set(named)].sort();
}

function tolerancesOf(tasks: readonly FuelTask[], roles: FuelRoles): Map<string, string> {
  const groups = tasks.filter(({ type, fields }) => type === "group" && fields.fault_tolerance !== undefined);
  return new Map(
    groups.flatMap(({ fields }) =>
      roles.meant(wordsIn([fields.role])).map((role) => [role, String(fields.fault_tolerance)] as const),
    ),
  );
}

function roleDocuments(
  used: string[],
  tolerances: ReadonlyMap<string, string>,
  { image, scheme }: FuelOptions,
): ImportedDocument[] {
  if (!image || !scheme) return [];
  return used.map((name) => {
    const fault_tolerance = tolerances.get(name);
    return {
      kind: "Role",
      comments: [],
      spec: { name, image, scheme, ...(fault_tolerance ? { fault_tolerance } : {}) },
    };
  });
}

function remarksOf(
  used: readonly string[],
  tolerances: ReadonlyMap<string, string>,
  settings: ReadonlySet<string>,
  { image, scheme }: FuelOptions,
): string[] {
  const remarks: string[] = [];
  if (!image || !scheme) {
    remarks.push(`needs manifests of the roles ${used.join(", ")}`);
    for (const [role, limit] of tolerances) remarks.push(`role ${role}: fault_tolerance: "${limit}"`);
  }
  if (settings.size) remarks.push(`reads the settings ${[...settings].sort().join(", ")}`);
  return remarks;
}
