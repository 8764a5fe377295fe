// Templates of tasks, in Liquid, which looks like Jinja. Strict: a name or filter that is not known is an error, but for
// names in `{% if %}` and before `| default:`, which ask whether something is there. What they can read is the step's
// values, and its secrets as `secrets.NAME`; they read no files.
//
// Which fields of actions are templates:
//
//   any task       test_pre, test_post
//   shell          command, arguments, check, creates, unless, cwd; not the script, which finds all in its environment
//   template       content or the file of source, validate
//   merge_config   every layer's content or file, and the source of a layer that has a tree
//   package        install, remove
//   service        name
//   wait_for       port, http, file, command
//   puppet         hiera
//
// Everything else is as it stands, above all the content of upload_file and upload_files.
import type { JsonObject } from "@bufbuild/protobuf";
import { Liquid, LiquidError } from "liquidjs";
import { nearest } from "../proto/manifest/suggest.ts";
import { shellQuote } from "./shell-quote.ts";
import type { StepContext } from "./step.ts";

/** A range such as (1..1000000) counts for each of its numbers. */
const memoryLimit = 10_000_000;
const renderLimitMs = 5_000;
/** Of names that are listed when none is near. */
const listed = 12;

const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  lenientIf: true,
  greedy: false,
  templates: {},
  memoryLimit,
  renderLimit: renderLimitMs,
  outputEscape: shown,
});
liquid.registerFilter("sh", (value: unknown) => shellQuote(shown(value)));

export type Templates = {
  /** `name`: for errors, what it is the template of. */
  render(name: string, text: string): string;
};

export async function templatesOf({ values, secretValues }: StepContext): Promise<Templates> {
  const scope = { ...values, secrets: await secretValues() };
  return { render: (name, text) => render(name, text, scope) };
}

function render(name: string, text: string, scope: JsonObject): string {
  if (!/\{\{|\{%/.test(text)) return text;
  try {
    return String(liquid.parseAndRenderSync(withoutTagLines(text), scope));
  } catch (error) {
    throw explain(name, error, scope);
  }
}

/**
 * Lines that have nothing but tags leave nothing behind, as Ansible has it. They are marked in their place, so that
 * errors name the right line.
 */
function withoutTagLines(text: string): string {
  let isRaw = false;
  const lines = text.split("\n").map((line) => {
    for (const [, tag] of line.matchAll(/\{%-?\s*(raw|endraw)\s*-?%\}/g)) isRaw = tag === "raw";
    const isOnlyTags = /^\s*(\{%(?:(?!%\}).)*%\}\s*)+$/.test(line);
    if (!isOnlyTags || isRaw || /\braw\b|\bendraw\b/.test(line)) return line;
    return line.replace(/^(\s*)\{%-?/, "$1{%-").replace(/-?%\}(\s*)$/, "-%}$1");
  });
  return lines.join("\n");
}

/** Text as it is, nothing for null, and everything with parts as JSON. */
function shown(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function explain(name: string, error: unknown, scope: JsonObject): Error {
  if (!LiquidError.is(error)) return error instanceof Error ? error : new Error(String(error));
  const [line] = error.token.getPosition();
  const where = `template of ${name}, line ${line}`;
  const fault = error.message
    .replace(/, (file:.*, )?line:\d+, col:\d+$/, "")
    .replaceAll("{%-", "{%")
    .replaceAll("-%}", "%}");
  const [, unknown] = /^undefined variable: (.*)$/.exec(fault) ?? [];
  if (unknown !== undefined) return new Error(`${where}: \`${unknown}\` is not known${hint(unknown, scope)}`);
  const [, filter] = /^undefined filter: (.*)$/.exec(fault) ?? [];
  if (filter !== undefined) {
    const near = nearest(filter, Object.keys(liquid.filters));
    return new Error(
      `${where}: there is no filter \`${filter}\`${near ? `; did you mean \`${near}\`?` : ""}`,
    );
  }
  if (fault.startsWith("ENOENT")) return new Error(`${where}: a template cannot include another one`);
  return new Error(`${where}: ${fault}`);
}

/** What the path could have been meant to be. */
function hint(path: string, scope: JsonObject): string {
  if (path === "nodes")
    return "; to read the nodes from a file, name `nodes` in the task, such as in a parameter";
  const steps = path.split(".");
  const last = steps.pop() ?? "";
  let parent: unknown = scope;
  for (const step of steps) {
    // Of a loop's own variable nothing is known here.
    if (typeof parent !== "object" || parent === null || !Object.hasOwn(parent, step)) return "";
    parent = Reflect.get(parent, step);
  }
  const owner = steps.length ? `\`${steps.join(".")}\`` : "";
  if (Array.isArray(parent)) return `; ${owner} has ${parent.length} items`;
  if (typeof parent !== "object" || parent === null) return "";
  const names = Object.keys(parent);
  const near = nearest(last, names);
  if (near !== undefined) return `; did you mean \`${near}\`?`;
  if (!names.length) return `; ${owner} is empty`;
  const rest = names.length > listed ? ", ..." : "";
  return `; there is ${names.slice(0, listed).join(", ")}${rest}`;
}
