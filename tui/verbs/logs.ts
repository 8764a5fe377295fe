// `muster logs`: the log of one step as it is, or of all steps of a deployment with each line's step before it.
import { type Step, Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Operator } from "../client.ts";
import { exitCode } from "../errors.ts";
import { clean } from "../format.ts";
import type { Io } from "../io.ts";
import { applyResponse, emptyWorld } from "../model.ts";
import { sleep, watchFeed } from "../watch.ts";
import { hasEnded, stepWord } from "../words.ts";

export type LogsOptions = { follow?: boolean };

export async function logs(operator: Operator, io: Io, name: string, options: LogsOptions): Promise<number> {
  const follow = options.follow ?? false;
  if (name.includes("/")) await stepLog(operator, io, name, follow);
  else if (follow) await followAll(operator, io, name);
  else await allLogs(operator, io, name);
  return io.signal.aborted ? exitCode.interrupted : exitCode.ok;
}

/** Raw bytes into a pipe or file; into a terminal without what could command it. */
async function stepLog(operator: Operator, io: Io, step: string, follow: boolean): Promise<void> {
  const lines = new LineSplitter();
  let empty = true;
  try {
    for await (const { content } of operator.watch.tailLog({ step, follow }, { signal: io.signal })) {
      empty &&= content.length === 0;
      if (!io.terminal) io.write(content);
      else for (const line of lines.push(content)) io.out(clean(line));
    }
  } catch (error) {
    if (!io.signal.aborted) throw error;
  }
  for (const line of lines.end()) io.out(clean(line));
  // Silence could also mean that something went wrong on the way.
  if (empty && !io.signal.aborted) io.err(`the log of ${step} is empty`);
}

async function allLogs(operator: Operator, io: Io, name: string): Promise<void> {
  const { steps } = await operator.deployments.getDeployment({ name });
  for (const step of steps.filter(({ attempt }) => attempt > 0)) {
    io.out(`== ${step.node}/${step.task} ${stepWord(step).word}, attempt ${step.attempt}`);
    await prefixedLog(operator, io, step, false);
  }
}

/** Joins every step when it begins; ends with the deployment. */
async function followAll(operator: Operator, io: Io, name: string): Promise<void> {
  const { deployment } = await operator.deployments.getDeployment({ name });
  const target = deployment?.name ?? name;
  const tails = new Map<string, Promise<void>>();
  const world = emptyWorld();
  for await (const item of watchFeed(operator.watch, { signal: io.signal, sleep })) {
    if (item.kind !== "message") continue;
    applyResponse(world, item.response);
    for (const step of world.steps.values()) {
      const attempt = `${step.name}#${step.attempt}`;
      if (step.deployment !== target || step.state !== Step_State.RUNNING || tails.has(attempt)) continue;
      tails.set(attempt, prefixedLog(operator, io, step, true));
    }
    const state = world.deployments.get(target)?.state;
    if (world.complete && (state === undefined || hasEnded(state))) break;
  }
  await Promise.all(tails.values());
}

async function prefixedLog(operator: Operator, io: Io, step: Step, follow: boolean): Promise<void> {
  const lines = new LineSplitter();
  const print = (line: string) => io.out(`${step.node}/${step.task} | ${clean(line)}`);
  try {
    const calls = operator.watch.tailLog({ step: step.name, follow }, { signal: io.signal });
    for await (const { content } of calls) for (const line of lines.push(content)) print(line);
  } catch (error) {
    // A step of the daemon's own, such as bootstrap, may have no log.
    if (!io.signal.aborted && !(error instanceof RpcError && error.code === codes.NOT_FOUND)) throw error;
  }
  for (const line of lines.end()) print(line);
}

/** Whole lines of a byte stream; a character may be cut by the end of a message. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  #rest = "";

  push(content: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.decode(content, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines;
  }

  end(): string[] {
    const rest = this.#rest + this.#decoder.decode();
    this.#rest = "";
    return rest ? [rest] : [];
  }
}
