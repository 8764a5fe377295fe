// What `puppet apply --logdest FILE.json` writes while it runs: a line for the step's log, how far it is, what went
// wrong and where, and the differences of files.

export type PuppetProgress = { done: number; changed: number; failed: number; resource: string };

type Entry = { level: string; message: string; source: string; file?: string; line?: number; pos?: number };

/** Of resources that the manifest names; Puppet has others of its own. */
const resourceSource = /^\/Stage\[.*?\]\//;
const failures = new Set(["err", "alert", "emerg", "crit"]);

export class PuppetLog {
  /** `FILE:LINE: message` of each error that is about no resource. */
  readonly errors: string[] = [];
  /** By resource, such as `File[/etc/motd]`. */
  readonly diffs = new Map<string, string>();
  readonly #strip: (text: string) => string;
  readonly #changed = new Set<string>();
  readonly #failed = new Set<string>();
  #done = 0;
  #resource = "";

  /** `strip`: makes paths of the run's own files what they are beside the manifest. */
  constructor(strip: (text: string) => string) {
    this.#strip = strip;
  }

  get progress(): PuppetProgress {
    return {
      done: this.#done,
      changed: this.#changed.size,
      failed: this.#failed.size,
      resource: this.#resource,
    };
  }

  /** A line of the file; answers with what the step's log shows of it, if anything. */
  take(text: string): string | undefined {
    const entry = entryOf(text);
    if (!entry) return undefined;
    const { level, message, source } = entry;
    const isResource = resourceSource.test(source);
    if (level === "info" && message.startsWith("Starting to evaluate the resource")) {
      if (isResource) this.#resource = resourceOf(source);
      return undefined;
    }
    if (level === "info" && /^Evaluated in [\d.]+ seconds$/.test(message)) {
      if (isResource) this.#done++;
      return undefined;
    }
    const place = this.#place(entry);
    if (failures.has(level)) {
      if (isResource) this.#failed.add(resourceOf(source));
      // Facter complains about every fact that it cannot find out; that fails nothing.
      else if (source !== "Facter") this.errors.push(place + this.#strip(message));
    } else if (level === "notice" && isResource && message.startsWith("\n--- ")) {
      this.diffs.set(resourceOf(source), withoutNames(message));
    } else if (level === "notice" && isResource) this.#changed.add(resourceOf(source));
    return `${level}: ${source === "Puppet" ? "" : `${source}: `}${this.#strip(message)}${place && ` (${place.slice(0, -2)})`}`;
  }

  #place({ file, line, pos }: Entry): string {
    if (!file) return "";
    return `${[this.#strip(file), line, pos].filter((part) => part !== undefined).join(":")}: `;
  }
}

/** `File[/etc/motd]` of `/Stage[main]/Motd/File[/etc/motd]/content`. */
export function resourceOf(source: string): string {
  const [, resource] = /\/([A-Z][\w:]*\[(?:.*)\])(?:\/\w+)?$/.exec(lastResource(source)) ?? [];
  return resource ?? source;
}

/** A title may hold anything, also what looks like another resource: what follows the classes is the resource. */
function lastResource(source: string): string {
  const classes = /^\/Stage\[[^\]]*\](?:\/[A-Z][\w:]*(?:\[[^\]]*\])?(?=\/[A-Z]))*/.exec(source);
  return source.slice(classes?.[0].length ?? 0);
}

function entryOf(text: string): Entry | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    const { level = "", message = "", source = "", ...rest } = JSON.parse(text);
    return { level, message: String(message), source: String(source), ...rest };
  } catch {
    return undefined;
  }
}

/** The names of a diff are those of temporary files. */
function withoutNames(diff: string): string {
  return diff.slice(diff.indexOf("\n@@") + 1);
}
