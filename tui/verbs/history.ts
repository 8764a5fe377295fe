// `muster history`: every attempt that is remembered, the newest first.
import { toJson } from "@bufbuild/protobuf";
import { type Attempt, AttemptSchema } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Operator } from "../client.ts";
import { erasureLines } from "../erase-text.ts";
import { exitCode } from "../errors.ts";
import { clean, dateTime, elapsed, shortDigest, timeMs } from "../format.ts";
import type { Io } from "../io.ts";
import { jsonList, type OutputOptions, wantsJson } from "../output.ts";
import { allPages, filterOf } from "../pages.ts";
import { table } from "../text-table.ts";
import { stepWord } from "../words.ts";

type HistoryOptions = OutputOptions & { node?: string; task?: string; last: number };

export async function history(
  { deployments }: Operator,
  io: Io,
  name: string | undefined,
  options: HistoryOptions,
): Promise<number> {
  // A cluster's name means its newest deployment; one that is forgotten still has a history.
  const deployment = name && ((await newestOf(deployments, name)) ?? name);
  const { node, task, last } = options;
  const filter = filterOf({ deployment, node, task });
  const attempts = await allPages(
    (request) => deployments.listAttempts(request),
    (page) => page.attempts,
    { filter, limit: last },
  );
  if (wantsJson(options)) {
    io.out(jsonList(attempts.map((attempt) => toJson(AttemptSchema, attempt))));
    return exitCode.ok;
  }
  if (!attempts.length) io.out("no attempt is remembered that fits");
  else for (const line of historyTable(attempts, io.now())) io.out(line);
  const erased = erasureLines(attempts.map(({ name, erasures }) => ({ step: name, erasures })));
  if (erased.length) for (const line of ["", ...erased]) io.out(line);
  if (attempts.length === last) io.err(`only the last ${last} are shown; --last shows more`);
  return exitCode.ok;
}

async function newestOf(deployments: Operator["deployments"], name: string): Promise<string | undefined> {
  const { deployment } = await deployments.getDeployment({ name }).catch(() => ({ deployment: undefined }));
  return deployment?.name;
}

function historyTable(attempts: Attempt[], now: number): string[] {
  const rows = attempts.map((attempt) => {
    const start = timeMs(attempt.startTime);
    return [
      attempt.step,
      String(attempt.number),
      stepWord(attempt, attempt).word,
      start === undefined ? "" : dateTime(start),
      elapsed(attempt.startTime, attempt.endTime, now),
      attempt.exitCode ? String(attempt.exitCode) : "",
      shortDigest(attempt.planHash),
      clean(attempt.reason || attempt.result),
    ];
  });
  return table(["STEP", "#", "STATE", "STARTED", "TOOK", "EXIT", "PLAN", "REASON"], rows);
}
