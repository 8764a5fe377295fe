// Fuel's names as Muster's: tasks, and the roles that tags stand for.
import { isProvisioning } from "../tasks.ts";
import type { FuelTask } from "./fuel-tasks.ts";

/** The tags that Fuel's own release gives to its controllers. */
const shippedTags: Record<string, string> = {
  rabbitmq: "controller",
  database: "controller",
  keystone: "controller",
  neutron: "controller",
};

/** Which roles have a tag, `primary-TAG` being the primary node's. */
export class FuelRoles {
  readonly #known: ReadonlySet<string>;
  readonly #tags: ReadonlyMap<string, string[]>;

  /** `tags`: roles by tag, in addition to those that Fuel ships. */
  constructor(tasks: readonly FuelTask[], tags: ReadonlyMap<string, string[]>) {
    const shipped = Object.entries(shippedTags).map(([tag, role]): [string, string[]] => [tag, [role]]);
    this.#tags = new Map([...shipped, ...tags]);
    const named = tasks.flatMap(({ fields }) =>
      wordsIn([fields.role, fields.roles, fields.groups, fields.tags]),
    );
    this.#known = new Set(named.filter((word) => !isPattern(word) && word !== "*" && word !== "master"));
  }

  /** Muster's roles for one of Fuel's, or for a tag. */
  named(word: string): string[] {
    const primary = word.startsWith("primary-") ? "primary-" : "";
    const roles =
      this.#tags.get(word) ?? this.#tags.get(word.slice(primary.length))?.map((role) => primary + role);
    return (roles ?? [word]).map(toName);
  }

  /** What `role`, `groups` or `tags` mean: `*` is every role. The master has none. */
  meant(words: readonly string[]): string[] {
    const roles = words.flatMap((word) => {
      if (word === "master") return [];
      if (word === "*" || word === "/.*/") return ["*"];
      if (!isPattern(word)) return this.named(word);
      return [...this.#known].filter((known) => matches(word, known)).flatMap((known) => this.named(known));
    });
    return roles.includes("*") ? ["*"] : [...new Set(roles)];
  }
}

export function wordsIn(values: readonly unknown[]): string[] {
  return values
    .flatMap((value) => (Array.isArray(value) ? value : [value]))
    .filter((one) => typeof one === "string");
}

export function isPattern(word: string): boolean {
  return word.length > 2 && word.startsWith("/") && word.endsWith("/");
}

/** As Fuel matches: from the beginning of the name. */
export function matches(word: string, name: string): boolean {
  if (!isPattern(word)) return word === name;
  try {
    return new RegExp(`^(?:${word.slice(1, -1)})`).test(name);
  } catch {
    return false;
  }
}

/** One that Muster takes: lower-case letters, digits and hyphens. */
export function toName(id: string): string {
  const plain = id
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  return (/^[a-z]/.test(plain) ? plain : `t-${plain}`).slice(0, 63);
}

/** The name of every task: that of its graph before it where two have the same. */
export function taskNames(tasks: readonly FuelTask[]): Map<FuelTask, string> {
  const plain = Map.groupBy(tasks, ({ id }) => toName(id));
  const taken = new Set<string>();
  const names = new Map<FuelTask, string>();
  for (const task of tasks) {
    const own = toName(task.id);
    const alone = plain.get(own)?.length === 1 || task.graph === "default";
    const wanted =
      alone && !isProvisioning(own) ? own : toName(`${isProvisioning(own) ? "fuel" : task.graph}-${own}`);
    let name = wanted;
    for (let number = 2; taken.has(name); number++) name = `${wanted.slice(0, 60)}-${number}`;
    taken.add(name);
    names.set(task, name);
  }
  return names;
}
