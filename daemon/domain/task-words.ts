// The words by which manifests and operators name tasks, groups and roles: a name, `/REGULAR EXPRESSION/`, or `*`.
import type { TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";

export function isPattern(word: string): boolean {
  return word.length > 2 && word.startsWith("/") && word.endsWith("/");
}

/** What is wrong with a word, to follow a field's name; nothing for a name, whether there is such a one or not. */
export function patternFault(word: string): string | undefined {
  if (!isPattern(word)) return undefined;
  try {
    new RegExp(word.slice(1, -1), "u");
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return `\`${word}\` is not a regular expression: ${message.replace(/^.*\/u: /, "")}`;
  }
}

/** Whether a word stands for a name. A regular expression may match anywhere in it. */
export function matcher(word: string): (name: string) => boolean {
  if (word === "*") return () => true;
  if (!isPattern(word) || patternFault(word)) return (name) => name === word;
  const pattern = new RegExp(word.slice(1, -1), "u");
  return (name) => pattern.test(name);
}

/** Finds tasks by names, regular expressions and groups; each word is looked up once. */
export class TaskWords {
  readonly #tasks: readonly TaskSpec[];
  readonly #found = new Map<string, TaskSpec[]>();

  constructor(tasks: readonly TaskSpec[]) {
    this.#tasks = tasks;
  }

  find(word: string): readonly TaskSpec[] {
    const before = this.#found.get(word);
    if (before) return before;
    const matches = matcher(word);
    const found = this.#tasks.filter(({ name, group }) => matches(name) || (group !== "" && group === word));
    this.#found.set(word, found);
    return found;
  }

  /** All that a word can be, for suggestions. */
  names(): string[] {
    return [...new Set(this.#tasks.flatMap(({ name, group }) => (group ? [name, group] : [name])))];
  }
}
