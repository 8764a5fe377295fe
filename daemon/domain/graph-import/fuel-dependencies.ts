// What tasks of Fuel wait for, as `requires` and `cross_depends` of Muster. Names and regular expressions become the tasks
// that they mean.
import type { Modules } from "./fuel-action.ts";
import { type FuelRoles, matches, wordsIn } from "./fuel-names.ts";
import type { Stages } from "./fuel-stages.ts";
import { type FuelTask, isRecord, yaqlOf } from "./fuel-tasks.ts";

export type FuelWorld = {
  /** Of the same graph. */
  tasks: readonly FuelTask[];
  names: ReadonlyMap<FuelTask, string>;
  roles: FuelRoles;
  stages: Stages;
  modules: Modules;
  /** Leaves `test_pre` and `test_post` out. */
  withoutTests: boolean;
};

/** Says what is not as it was; `at` is the field that it is about. */
export type Tell = (message: string, ...at: (string | number)[]) => void;
type Cross = { task: string; role: string; policy?: string };

/** What it waits for and what waits for it, in the words of a manifest; what is empty is absent. */
export function dependenciesOf(task: FuelTask, world: FuelWorld, tell: Tell): Record<string, unknown> {
  const same: Record<"requires" | "required_for", string[]> = { requires: [], required_for: [] };
  const cross: Record<"cross_depends" | "cross_depended_by", Cross[]> = {
    cross_depends: [],
    cross_depended_by: [],
  };
  for (const [field, across] of [
    ["requires", "cross_depends"],
    ["required_for", "cross_depended_by"],
  ] as const) {
    const words = task.fields[field];
    if (yaqlOf(words)) tell(`\`${field}\` is worked out by YAQL and not carried over`, field);
    wordsIn([words]).forEach((word, i) => {
      const found = find(word, task, world, (message) => tell(message, field, i));
      same[field].push(...found.names);
      cross[across].push(...found.barriers);
      // A stage is a point of all nodes, also where it stays a task.
      if (task.type === "stage")
        cross[across].push(...same[field].splice(0).map((name) => ({ task: name, role: "*" })));
    });
  }
  for (const [fuel, field] of [
    ["cross-depends", "cross_depends"],
    ["cross-depended-by", "cross_depended_by"],
  ] as const) {
    const entries = task.fields[fuel];
    if (entries !== undefined && entries !== null && !Array.isArray(entries))
      tell(`\`${fuel}\` is worked out by YAQL and not carried over`, fuel);
    for (const [i, entry] of (Array.isArray(entries) ? entries : []).entries()) {
      cross[field].push(...crossOf(entry, task, world, (message) => tell(message, fuel, i)));
    }
  }
  const unique = (list: Cross[]) => [...new Map(list.map((one) => [JSON.stringify(one), one])).values()];
  const all = {
    requires: [...new Set(same.requires)],
    cross_depends: unique(cross.cross_depends),
    required_for: [...new Set(same.required_for)],
    cross_depended_by: unique(cross.cross_depended_by),
  };
  return Object.fromEntries(Object.entries(all).filter(([, list]) => list.length > 0));
}

/** The tasks that a word means, those of stages that have to stay apart. */
function find(
  word: string,
  self: FuelTask,
  world: FuelWorld,
  tell: (message: string) => void,
): { names: string[]; barriers: Cross[] } {
  const meant = world.tasks.filter(({ id, type }) => type !== "group" && matches(word, id));
  if (meant.length === 0) {
    const group = world.tasks.some(({ id, type }) => type === "group" && matches(word, id));
    tell(
      group
        ? `\`${word}\` is a group of roles, which no task of version 2 waits for: left out`
        : `there is no task \`${word}\`: left out, as in Fuel`,
    );
  }
  const others = meant.filter((task) => task !== self);
  return {
    names: others.filter(({ type }) => type !== "stage").map((task) => nameOf(task, world)),
    barriers: others.filter(world.stages.isBarrier).map((task) => ({ task: nameOf(task, world), role: "*" })),
  };
}

function crossOf(entry: unknown, self: FuelTask, world: FuelWorld, tell: (message: string) => void): Cross[] {
  if (!isRecord(entry) || typeof entry.name !== "string") {
    tell("a dependency is worked out by YAQL and not carried over");
    return [];
  }
  const { names, barriers } = find(entry.name, self, world, tell);
  const role = crossRole(entry.tags ?? entry.role, world.roles);
  if (role === undefined)
    tell(
      `\`${wordsIn([entry.tags, entry.role]).join(", ") || "role"}\` names no role: the dependency is not carried over`,
    );
  if (names.length === 0 || role === undefined) return barriers;
  if (entry.policy !== "any") return [...barriers, ...names.map((task) => ({ task, role }))];
  const [first = ""] = names;
  return [
    ...barriers,
    { task: names.length === 1 ? first : `/^(${names.join("|")})$/`, role, policy: "any" },
  ];
}

/** All roles if none is named; what ran on the master has one node to stand for it. */
function crossRole(value: unknown, roles: FuelRoles): string | undefined {
  const named = wordsIn([value]);
  if (named.includes("self")) return "self";
  if (value === undefined || named.includes("master")) return "*";
  const meant = roles.meant(named);
  return meant.length > 1 ? `/^(${meant.join("|")})$/` : meant[0];
}

export function nameOf(task: FuelTask, { names }: FuelWorld): string {
  return names.get(task) ?? task.id;
}
