// What a step hands back, brought into the bounds of a StepResult and without secrets.
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { StepResult_Outcome } from "../proto/gen/muster/v1/agent_pb.ts";
import type { DiskErasure } from "../proto/gen/muster/v1/erase_pb.ts";
import type { StepChangeSchema, TaskOutcome } from "../proto/gen/muster/v1/step_pb.ts";
import type { Redactor } from "./redact.ts";
import type { StepDone } from "./step.ts";

type Change = MessageInitShape<typeof StepChangeSchema>;

/** A result without the attempt that it is of. */
export type Ending = {
  outcome: StepResult_Outcome;
  reason?: string;
  exitCode?: number;
  result?: string;
  erasures?: DiskErasure[];
  taskOutcome?: TaskOutcome;
  facts?: JsonObject;
  changes?: Change[];
};

const factsLimit = 256 << 10;
const diffLimit = 16 << 10;
const changesLimit = 1 << 20;
const changeCount = 1000;
/** A line for people. */
const resultLimit = 4 << 10;

/** Throws if its facts are too many: to cut them would be to say something else. */
export function doneWith(done: string | StepDone, redactor: Redactor): Omit<Ending, "outcome"> {
  if (typeof done === "string") return { result: redactor.text(done).slice(0, resultLimit) };
  return {
    result: redactor.text(done.result).slice(0, resultLimit),
    taskOutcome: done.outcome,
    facts: done.facts && boundedFacts(redactor.json(done.facts) as JsonObject),
    changes: boundedChanges(done.changes ?? [], redactor),
  };
}

function boundedFacts(facts: JsonObject): JsonObject {
  const bytes = Buffer.byteLength(JSON.stringify(facts));
  if (bytes <= factsLimit) return facts;
  const sizes = `${Math.ceil(bytes / 1024)} KiB, and at most ${factsLimit >> 10} KiB are kept`;
  throw new Error(`the facts that the task has written have ${sizes}; write fewer, or fetch them as a file`);
}

/** What is beyond the bounds is counted in a last one. */
function boundedChanges(changes: readonly Change[], redactor: Redactor): Change[] {
  const kept: Change[] = [];
  let bytes = 0;
  for (const { what = "", action = "", diff = "" } of changes) {
    const change = {
      what: redactor.text(what),
      action: redactor.text(action),
      diff: cut(redactor.text(diff)),
    };
    bytes += Buffer.byteLength(change.what + change.action + change.diff) + 16;
    if (bytes > changesLimit || kept.length >= changeCount - 1) {
      kept.push({ what: `${changes.length - kept.length} more`, action: "not shown", diff: "" });
      break;
    }
    kept.push(change);
  }
  return kept;
}

/** Whole lines of it. */
function cut(diff: string): string {
  const bytes = Buffer.from(diff);
  if (bytes.length <= diffLimit) return diff;
  const note = "... (the rest is not shown)\n";
  const room = diffLimit - note.length;
  const end = bytes.lastIndexOf("\n", room - 1) + 1;
  return `${bytes.subarray(0, end || room).toString()}${end ? "" : "\n"}${note}`;
}
