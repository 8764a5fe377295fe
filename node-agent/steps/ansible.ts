// Runs a playbook on the node itself, with the node's own ansible and a local connection.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import type { AnsibleAction } from "../../proto/gen/muster/v1/task_pb.ts";
import { type AnsibleResult, callbackName, callbackPlugin, eventOf } from "../ansible-callback.ts";
import { extraVariables, inventory } from "../ansible-vars.ts";
import { tailing } from "../line-tail.ts";
import { CommandError, type RunResult } from "../runner.ts";
import { treeOf } from "../source-trees.ts";
import type { Step, StepContext, StepDone } from "../step.ts";
import { syncTree } from "../sync-tree.ts";
import type { Change } from "../tree-file.ts";

export const ansible: Step<"ansible"> = async (action, context) => {
  const dir = await mkdtemp(join(tmpdir(), "muster-ansible-"));
  try {
    await prepare(dir, action, context);
    return await play(dir, action, context);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

async function prepare(dir: string, { source }: AnsibleAction, context: StepContext): Promise<void> {
  context.progress({ activity: "fetching the playbook" });
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const quiet = { ...context, log: () => {}, check: false };
  const tree = await treeOf(source, context);
  await syncTree({ ...tree, target: join(dir, "playbook"), remove: false, ...own }, quiet);
  await mkdir(join(dir, "callbacks"));
  await writeFile(join(dir, "callbacks", `${callbackName}.py`), callbackPlugin);
  const variables = extraVariables(context.values, await context.secretValues());
  await writeFile(join(dir, "variables.yml"), variables, { mode: 0o600 });
  await writeFile(join(dir, "inventory.yml"), inventory(context.identity.node, roleOf(context)));
}

async function play(dir: string, action: AnsibleAction, context: StepContext): Promise<StepDone> {
  const { progress, check } = context;
  const results: AnsibleResult[] = [];
  let total = 0;
  const onLine = (line: string) => {
    const event = eventOf(line);
    if (event?.event === "total") total = event.tasks;
    if (event?.event === "task") progress({ activity: event.name });
    if (event?.event === "result") results.push(event.result);
    progress({
      currentItems: results.length,
      totalItems: Math.max(total, results.length),
      changedItems: results.filter(({ status }) => status === "changed").length,
      failedItems: results.filter(({ status }) => status === "failed").length,
    });
  };
  const ended = await tailing(join(dir, "events"), onLine, () => run(dir, action, context)).catch(
    (error: unknown) => {
      throw explain(error);
    },
  );
  const strip = (text: string) => text.replaceAll(`${dir}/playbook/`, "");
  // A failure that a rescue has mended is none.
  if (ended.code !== 0) throw new CommandError(strip(reasonOf(results, ended)), ended.code);
  if (!results.length) throw new Error(nothingDone(action, context));
  const changed = results.filter(({ status }) => status === "changed");
  return {
    result: `${results.length} tasks, ${changed.length} ${check ? "would change something" : "changed something"}`,
    outcome: changed.length ? TaskOutcome.CHANGED : TaskOutcome.OK,
    facts: { tasks: results.length, changed: changed.length },
    changes: changed.map((result) => changeOf(result, strip)),
  };
}

function run(
  dir: string,
  { playbook, tags }: AnsibleAction,
  { run, check }: StepContext,
): Promise<RunResult> {
  const argv = [
    ...["ansible-playbook", "--connection", "local", "--inventory", join(dir, "inventory.yml")],
    ...["--extra-vars", `@${join(dir, "variables.yml")}`, "--diff"],
    ...(tags.length ? ["--tags", tags.join(",")] : []),
    ...(check ? ["--check"] : []),
    playbook || "site.yml",
  ];
  return run(argv as [string, ...string[]], {
    cwd: join(dir, "playbook"),
    env: {
      // A service has no home, and Ansible wants UTF-8.
      HOME: process.env.HOME ?? "/root",
      LC_ALL: "C.UTF-8",
      ANSIBLE_CALLBACK_PLUGINS: join(dir, "callbacks"),
      ANSIBLE_CALLBACKS_ENABLED: callbackName,
      ANSIBLE_STDOUT_CALLBACK: "default",
      ANSIBLE_FORCE_COLOR: "0",
      ANSIBLE_NOCOLOR: "1",
      ANSIBLE_RETRY_FILES_ENABLED: "0",
      ANSIBLE_LOCAL_TEMP: join(dir, "local"),
      ANSIBLE_REMOTE_TEMP: join(dir, "remote"),
      ANSIBLE_PYTHON_INTERPRETER: "auto_silent",
      PYTHONUNBUFFERED: "1",
      MUSTER_EVENTS: join(dir, "events"),
    },
    okCodes: Array.from({ length: 256 }, (_, code) => code),
    timeoutMs: Infinity,
  });
}

function changeOf({ name, action, diff, path }: AnsibleResult, strip: (text: string) => string): Change {
  return {
    what: name,
    action: action.replace(/^ansible\.(builtin|legacy)\./, ""),
    diff: diff || `${strip(path)}\n`,
  };
}

function reasonOf(results: AnsibleResult[], { code, stderr, stdout }: RunResult): string {
  const failed = results.findLast(({ status }) => status === "failed");
  if (failed) {
    const { name, path, message } = failed;
    return `ansible-playbook: task \`${name}\` (${path}) failed: ${oneLine(message) || "the log says why"}`;
  }
  const [, error] = /ERROR! (.*)/s.exec(stderr) ?? [];
  if (error === undefined)
    return `ansible-playbook ended with exit code ${code}: ${oneLine(stderr || stdout)}`;
  const [, file, line, column] =
    /The error appears to be in '([^']*)': line (\d+), column (\d+)/.exec(error) ?? [];
  const [what = ""] = error.split(/\n\s*\n/);
  return `ansible-playbook: ${file ? `${file}:${line}:${column}: ` : ""}${oneLine(what)}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim().slice(0, 1000);
}

function nothingDone({ playbook, tags, source }: AnsibleAction, context: StepContext): string {
  const what = `no task of ${source}/${playbook || "site.yml"} is for this node`;
  const role = roleOf(context).replaceAll("-", "_");
  const remedy = `its plays must be for \`all\`, \`localhost\`${role && ` or the role, \`${role}\``}`;
  return tags.length ? `${what} with the tags ${tags.join(", ")}; ${remedy}` : `${what}: ${remedy}`;
}

function roleOf({ values: { node } }: StepContext): string {
  const role = typeof node === "object" && node !== null && !Array.isArray(node) ? node.role : undefined;
  return typeof role === "string" ? role : "";
}

function explain(error: unknown): unknown {
  if (!(error instanceof CommandError) || !error.message.includes("ENOENT")) return error;
  const remedy = "add ansible-core to the packages of the image's recipe";
  return new CommandError(`the node has no ansible: ${remedy}`, -1);
}
