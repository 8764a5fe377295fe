// What a config task's step is to do on its node, and with what.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  ShellStepSchema,
  type StepAction,
  StepActionSchema,
  type StepInputs,
  StepInputsSchema,
} from "../../proto/gen/muster/v1/step_pb.ts";
import type { TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import type { Place } from "./task-spread.ts";

type Action = MessageInitShape<typeof StepActionSchema>["kind"];

/** The action, shared by all nodes; for a shell command, of which every node has another environment, a maker. */
export function actionOf({ action }: TaskSpec): StepAction | ((environment: Environment) => StepAction) {
  switch (action.case) {
    case "shell": {
      const { command, script, arguments: words, unchangedCodes, creates, unless, check, cwd } = action.value;
      const fields = { command, script, arguments: words, unchangedCodes, creates, unless, check, cwd };
      const shared = create(ShellStepSchema, fields);
      const whole = message({ case: "shell", value: shared });
      // A copy: making each from nothing would take most of the time of a big plan.
      return (environment) => ({ ...whole, kind: { case: "shell", value: { ...shared, environment } } });
    }
    case "reboot":
      return message({ case: "restart", value: action.value });
    case undefined:
      throw new Error("a task without an action passed the manifest check");
    default:
      return message(action);
  }
}

function message(kind: Action): StepAction {
  return create(StepActionSchema, { kind });
}

export type Environment = Record<string, string>;

/** What shell commands see of their place. */
export function environmentAt({ name, spec }: Cluster, { node, role }: Place): Environment {
  const settings = Object.entries(spec?.settings ?? {});
  return {
    MUSTER_CLUSTER: name,
    MUSTER_NODE: node,
    MUSTER_ROLE: role,
    ...Object.fromEntries(settings.map(([key, value]) => [`MUSTER_SETTING_${key.toUpperCase()}`, value])),
  };
}

/** `reads` is empty; nothing if the action is all there is. `sources`: digests by what the manifest names. */
export function inputsOf(task: TaskSpec, sources: Record<string, string>): StepInputs | undefined {
  const { secrets, parameters, testPre, testPost } = task;
  const hasAny = [secrets, parameters, sources].some((map) => Object.keys(map).length > 0);
  if (!hasAny && !testPre && !testPost) return undefined;
  return create(StepInputsSchema, { secrets, parameters, testPre, testPost, sources });
}
