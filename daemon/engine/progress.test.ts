// What operators see of a step that runs.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { StepProgressSchema } from "../../proto/gen/muster/v1/agent_pb.ts";
import { ProgressBoard } from "./progress.ts";

const step = "demo-1/n1/image";
const bytes = {
  currentBytes: 50n,
  totalBytes: 100n,
  movedBytes: 20n,
  skippedBytes: 10n,
  writtenBytes: 40n,
  verifiedBytes: 5n,
  activity: "writing",
  currentItems: 4,
  totalItems: 9,
  changedItems: 3,
  failedItems: 1,
};

test("everything that the agent counts is passed on", () => {
  const board = new ProgressBoard();
  board.report(step, create(StepProgressSchema, { token: `${step}/1`, ...bytes }), 0);
  expect(board.get(step, `${step}/1`)).toMatchObject({ step, ...bytes });
});

test("an attempt that was lost leaves nothing to the next", () => {
  const board = new ProgressBoard();
  board.report(step, create(StepProgressSchema, { token: `${step}/1`, ...bytes }), 0);
  expect(board.get(step, `${step}/2`)).toBeUndefined();
  expect(board.take(step, `${step}/2`)).toBeUndefined();
});
