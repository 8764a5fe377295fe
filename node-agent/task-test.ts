// The commands that a task is tried with before and after its action.
import { CommandError } from "./runner.ts";
import type { StepContext } from "./step.ts";
import { taskEnvironment } from "./task-environment.ts";
import { templatesOf } from "./template.ts";

export async function runTest(
  name: "test_pre" | "test_post",
  command: string,
  context: StepContext,
): Promise<void> {
  const templates = await templatesOf(context);
  const rendered = templates.render(name, command);
  context.progress({ activity: `runs ${name}` });
  try {
    // The step's own limit ends it.
    await context.run(["/bin/sh", "-e", "-c", rendered], {
      env: await taskEnvironment(context),
      timeoutMs: Infinity,
    });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const when = name === "test_pre" ? "before the task, which was not begun" : "after the task was done";
    throw new CommandError(`${name} failed ${when}: ${error.message}`, error.code);
  }
}
