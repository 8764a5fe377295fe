// `muster wait`, and what every verb does that follows a deployment to its end.
import { Deployment_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Operator } from "../client.ts";
import { exitCode, RefusedError } from "../errors.ts";
import { Follower } from "../follow.ts";
import { clean, formatAge } from "../format.ts";
import type { Io } from "../io.ts";
import { filterOf } from "../pages.ts";
import { sleep, watchFeed } from "../watch.ts";
import { failureDetails } from "./failures.ts";

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
      const details = await failureDetails(operator, ended, follower.failed(ended));
      for (const line of follower.summary(ended, details)) io.out(line);
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

/**
 * Follows a deployment, and then the graphs that the daemon begins after it; `names` gets the names of all. The exit
 * code is 0 if all have succeeded.
 */
export async function followGraphs(
  operator: Operator,
  io: Io,
  first: string,
  names: string[] = [],
): Promise<number> {
  let code: number = exitCode.ok;
  for (let name: string | undefined = first; name; name = await nextAfter(operator, io, name)) {
    names.push(name);
    const ended = await follow(operator, io, name);
    if (ended === exitCode.interrupted) return ended;
    if (ended !== exitCode.ok) code = ended;
  }
  return code;
}

/** The deployment that the daemon has begun when this one ended; undefined if there is none, or it cannot begin. */
async function nextAfter({ watch }: Operator, io: Io, name: string): Promise<string | undefined> {
  const filter = filterOf({ subject: `deployment/${name}` });
  const { events } = await watch.listEvents({ filter, pageSize: 100 });
  const told = events.find(({ reason }) => reason.startsWith("NEXT_GRAPH_"));
  if (!told) return undefined;
  if (told.reason !== "NEXT_GRAPH_STARTED") {
    io.err(`muster: ${clean(told.message)}`);
    return undefined;
  }
  io.out(clean(told.message));
  // It is stored together with the end of the one before, so it has the very next number.
  const dash = name.lastIndexOf("-");
  return `${name.slice(0, dash)}-${Number(name.slice(dash + 1)) + 1}`;
}

const units: Record<string, number> = { "": 1000, s: 1000, m: 60_000, h: 3_600_000 };
const longestMs = 7 * 24 * 3_600_000;

/** Of `--timeout`: 90, 90s, 10m, 2h. */
export function durationMs(text: string): number {
  const [, number, unit = ""] = /^(\d+)([smh]?)$/.exec(text) ?? [];
  const value = Number(number) * (units[unit] ?? Number.NaN);
  if (value <= longestMs) return value;
  throw new RefusedError(
    `--timeout ${text} is no time that can be waited for; give 90s, 10m or 2h, at most 168h`,
  );
}
