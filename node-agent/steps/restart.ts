// A task that starts the machine anew. As with the reboot into the installed system, the step only says that it will:
// the machine goes down when the daemon has the result, and its next hello shows another boot.
import { access } from "node:fs/promises";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import type { Step } from "../step.ts";

export const restart: Step<"restart"> = async ({ onlyIf }, { run, log, check }) => {
  if (onlyIf && !(await exists(onlyIf))) {
    return { result: `no restart is needed: there is no ${onlyIf}`, outcome: TaskOutcome.OK };
  }
  const changes = [{ what: "machine", action: "restart", diff: "" }];
  if (check) return { result: "the machine would be restarted", outcome: TaskOutcome.CHANGED, changes };
  await run(["sync"]);
  log("the machine restarts");
  return { result: "the restart was begun", outcome: TaskOutcome.CHANGED, changes };
};

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
