// Which of the values a step reads, as far as its plan shows: what a template asks for is in its text, but what is
// in a file beside the manifest nobody knows here.
import { toJsonString } from "@bufbuild/protobuf";
import type { PlannedStep } from "../../proto/gen/muster/v1/deployment_pb.ts";
import {
  type StepAction,
  StepActionSchema,
  type StepInputs,
  StepInputsSchema,
} from "../../proto/gen/muster/v1/step_pb.ts";

const words = ["nodes", "tasks", "settings"] as const;
export type Word = (typeof words)[number];

const wordSets = new WeakMap<object, ReadonlySet<Word>>();

/** Whether a step may read a value: its action, inputs or condition have the word, or files that nobody has read. */
export function mentions({ action, inputs, condition }: PlannedStep, word: Word): boolean {
  if (condition.includes(word)) return true;
  if (inputs && (hasFiles(inputs) || inputWords(inputs).has(word))) return true;
  return action !== undefined && actionWords(action).has(word);
}

export function hasFiles({ sources }: StepInputs): boolean {
  return Object.keys(sources).length > 0;
}

export function actionWords(action: StepAction): ReadonlySet<Word> {
  return wordsOf(action, () => toJsonString(StepActionSchema, action));
}

export function inputWords(inputs: StepInputs): ReadonlySet<Word> {
  return wordsOf(inputs, () => toJsonString(StepInputsSchema, inputs));
}

function wordsOf(key: object, text: () => string): ReadonlySet<Word> {
  const before = wordSets.get(key);
  if (before) return before;
  const written = text();
  const found = new Set(words.filter((word) => written.includes(word)));
  wordSets.set(key, found);
  return found;
}
