// `muster explain` and `muster doctor`: why things are as they are.
import { toJson } from "@bufbuild/protobuf";
import {
  type ExamineResponse,
  ExamineResponse_Level,
  ExamineResponseSchema,
  ExplainResponseSchema,
} from "../../proto/gen/muster/v1/daemon_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode } from "../errors.ts";
import { clean } from "../format.ts";
import type { Io } from "../io.ts";
import { jsonList, type OutputOptions, wantsJson } from "../output.ts";

export async function explain(
  { daemon }: Operator,
  io: Io,
  name: string,
  options: OutputOptions,
): Promise<number> {
  const answer = await daemon.explain({ name });
  if (wantsJson(options)) {
    io.out(JSON.stringify(toJson(ExplainResponseSchema, answer), null, 2));
    return exitCode.ok;
  }
  io.out(`${answer.subject} is ${answer.state}: ${clean(answer.why)}`);
  if (answer.waitsFor.length) io.out(`waits for: ${answer.waitsFor.join(" -> ")}`);
  if (answer.remedy) io.out(`what helps: ${clean(answer.remedy)}`);
  return exitCode.ok;
}

const levels: Record<ExamineResponse_Level, string> = {
  [ExamineResponse_Level.UNSPECIFIED]: "?",
  [ExamineResponse_Level.OK]: "ok",
  [ExamineResponse_Level.WARNING]: "WARNING",
  [ExamineResponse_Level.ERROR]: "ERROR",
  [ExamineResponse_Level.SKIPPED]: "skipped",
};

/** Exit code 1 if something is wrong. */
export async function doctor(
  { daemon }: Operator,
  io: Io,
  checks: string[],
  options: OutputOptions,
): Promise<number> {
  const found: ExamineResponse[] = [];
  for await (const finding of daemon.examine({ checks }, { signal: io.signal })) {
    found.push(finding);
    if (wantsJson(options)) continue;
    const word = levels[finding.level] ?? "?";
    io.out(`${word.padEnd(7)}  ${finding.check.padEnd(14)}  ${clean(finding.message)}`);
    if (finding.remedy) io.out(`${" ".repeat(25)}what helps: ${clean(finding.remedy)}`);
  }
  if (wantsJson(options)) io.out(jsonList(found.map((finding) => toJson(ExamineResponseSchema, finding))));
  const bad = found.some(({ level }) => level === ExamineResponse_Level.ERROR);
  return bad ? exitCode.failed : exitCode.ok;
}
