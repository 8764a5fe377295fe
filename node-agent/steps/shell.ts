// Runs a command of the operator's with /bin/sh, or a script that lies beside the manifest.
import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { CommandError, type RunOptions } from "../runner.ts";
import { readFacts } from "../shell-facts.ts";
import { readSource } from "../source-files.ts";
import type { ActionOf, Step, StepContext, StepDone } from "../step.ts";
import { taskEnvironment } from "../task-environment.ts";
import { templatesOf } from "../template.ts";

/** Which exit codes of `/bin/sh` mean that the program was not the one to end. */
const notFound = 127;

type Action = Pick<
  ActionOf<"shell">,
  "command" | "script" | "arguments" | "unchangedCodes" | "creates" | "unless" | "check" | "cwd"
>;

export const shell: Step<"shell"> = async (step, context) => {
  const action = await rendered(step, context);
  // The step's own limit ends it, so the runner needs none.
  const options: RunOptions = {
    env: { ...(await taskEnvironment(context)), ...step.environment },
    cwd: action.cwd || undefined,
    timeoutMs: Infinity,
  };
  const needless = await whyNeedless(action, options, context);
  if (needless) return { result: needless, outcome: TaskOutcome.OK };
  if (context.check) return check(action, options, context);
  const directory = await mkdtemp(join(tmpdir(), "muster-shell-"));
  try {
    return await perform(action, options, directory, context);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
};

async function rendered(step: ActionOf<"shell">, context: StepContext): Promise<Action> {
  const { render } = await templatesOf(context);
  return {
    command: render("command", step.command),
    script: step.script,
    arguments: step.arguments.map((argument, index) => render(`arguments[${index}]`, argument)),
    unchangedCodes: step.unchangedCodes,
    creates: render("creates", step.creates),
    unless: render("unless", step.unless),
    check: render("check", step.check),
    cwd: render("cwd", step.cwd),
  };
}

async function whyNeedless(
  { creates, unless }: Action,
  options: RunOptions,
  { run, check }: StepContext,
): Promise<string | undefined> {
  if (creates && (await exists(creates))) return `${creates} is there already`;
  if (!unless) return undefined;
  try {
    await run(inShell(unless), options);
    return `\`${unless}\` succeeds already`;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    // What it asks with may only come with a task before, which a check does not do.
    if (error.code < 0 || (error.code === notFound && !check)) throw error;
    return undefined;
  }
}

/** What would be done cannot be known without doing it, unless the task has a command that finds out. */
async function check(
  { command, script, check }: Action,
  options: RunOptions,
  context: StepContext,
): Promise<StepDone> {
  const what = script ? `script ${script}` : `command ${firstLine(command)}`;
  const change = { what, action: "run", diff: "" };
  if (!check) return { result: `${what} would be run`, outcome: TaskOutcome.CHANGED, changes: [change] };
  try {
    await context.run(inShell(check), options);
    return { result: "its check says that nothing would change", outcome: TaskOutcome.OK };
  } catch (error) {
    if (!(error instanceof CommandError) || error.code <= 0) throw error;
    const changes = [{ ...change, diff: error.output }];
    return { result: "its check says that it would change something", outcome: TaskOutcome.CHANGED, changes };
  }
}

async function perform(
  action: Action,
  options: RunOptions,
  directory: string,
  context: StepContext,
): Promise<StepDone> {
  const started = performance.now();
  const facts = join(directory, "facts");
  const argv = action.script ? await scriptIn(directory, action, context) : inShell(action.command);
  const { code } = await context.run(argv, {
    ...options,
    env: { ...options.env, MUSTER_FACTS: facts },
    okCodes: [0, ...action.unchangedCodes],
  });
  const what = action.script ? `the script ${action.script}` : "the command";
  const result = `${what} succeeded after ${((performance.now() - started) / 1000).toFixed(1)} s`;
  const isUnchanged = code !== 0;
  return {
    result: isUnchanged ? `${result}, and says with exit code ${code} that nothing has changed` : result,
    outcome: isUnchanged ? TaskOutcome.OK : TaskOutcome.CHANGED,
    facts: await readFacts(facts),
  };
}

async function scriptIn(
  directory: string,
  { script, arguments: words }: Action,
  context: StepContext,
): Promise<[string, ...string[]]> {
  const path = join(directory, script.split("/").at(-1) ?? "script");
  const content = await readSource(script, context);
  if (!content.subarray(0, 2).equals(Buffer.from("#!"))) {
    throw new Error(`${script} does not name its interpreter; let it begin with a line such as #!/bin/sh`);
  }
  await writeFile(path, content, { mode: 0o700 });
  return [path, ...words];
}

function inShell(command: string): [string, ...string[]] {
  return ["/bin/sh", "-e", "-c", command];
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function firstLine(text: string): string {
  const [first = ""] = text.trim().split("\n");
  return first.length > 100 ? `${first.slice(0, 100)}...` : first;
}
