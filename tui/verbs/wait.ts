// `muster wait`, and what every verb does that follows a deployment to its end.
import { Deployment_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { Follower } from "../follow.ts";
import { formatAge } from "../format.ts";
import type { Io } from "../io.ts";
import { sleep, watchFeed } from "../watch.ts";

export async function wait(
  operator: Operator,
  io: Io,
  name: string,
  options: { timeout?: string },
): Promise<number> {
  const timeoutMs = options.timeout === undefined ? undefined : durationMs(options.timeout);
  const { deployment } = await operator.deployments.getDeployment({ name });
  return follow(operator, io, deployment?.name ?? name, timeoutMs);
}

/** Prints what happens until the deployment has ended, and says by the exit code how. */
export async function follow(operator: Operator, io: Io, name: string, timeoutMs?: number): Promise<number> {
  const follower = new Follower(name, io.now);
  const deadline = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signal = deadline ? AbortSignal.any([io.signal, deadline]) : io.signal;
  for await (const item of watchFeed(operator.watch, { signal, sleep })) {
    for (const line of follower.take(item)) io.out(line);
    const { ended } = follower;
    if (ended) {
      for (const line of follower.summary(ended)) io.out(line);
      return ended.state === Deployment_State.SUCCEEDED ? exitCode.ok : exitCode.failed;
    }
    if (follower.missing) throw new RefusedError(`deployment ${name} is not known to the daemon`);
  }
  if (deadline?.aborted && !io.signal.aborted) {
    const waited = formatAge(timeoutMs ?? 0);
    io.err(`muster: ${name} has not ended within ${waited}; see why: muster explain ${name}`);
    return exitCode.failed;
  }
  io.err(`no longer watching; the deployment goes on. Watch it again: muster wait ${name}`);
  return exitCode.interrupted;
}

const units: Record<string, number> = { "": 1000, s: 1000, m: 60_000, h: 3_600_000 };
const longestMs = 7 * 24 * 3_600_000;

/** 90, 90s, 10m, 2h. */
function durationMs(text: string): number {
  const [, number, unit = ""] = /^(\d+)([smh]?)$/.exec(text) ?? [];
  const value = Number(number) * (units[unit] ?? Number.NaN);
  if (value <= longestMs) return value;
  throw new RefusedError(
    `--timeout ${text} is no time that can be waited for; give 90s, 10m or 2h, at most 168h`,
  );
}
