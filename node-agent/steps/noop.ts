// Nothing to do: others wait for it.
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import type { Step } from "../step.ts";

export const noop: Step<"noop"> = async () => ({ result: "nothing to do", outcome: TaskOutcome.OK });
