// A program that runs as long as the daemon does: started again when it dies, its lines handed on.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";

export type ChildOptions = {
  command: string;
  args: string[];
  /** What it is called in messages; the command if absent. */
  name?: string;
  /**
   * Given on its standard input, which then stays open for as long as this process lives: a program that ends with
   * its input is never left behind. Without it there is no input.
   */
  input?: string;
  log: Logger;
  onLine: (line: string) => void;
  /** True for the line by which the program says that it is up. */
  isReady: (line: string) => boolean;
  readyTimeoutMs?: number;
  /** Before the first restart; each further one waits twice as long, up to a minute. */
  restartDelayMs?: number;
};

const restartDelayMaxMs = 60_000;
// A program that ran this long is healthy: its next death is news, not a continuation.
const healthyMs = 60_000;
const stopGraceMs = 3000;

/** Thrown when the program does not come up; `lines` is what it said. */
export class ChildStartError extends Error {
  override name = "ChildStartError";
  readonly lines: string[];

  constructor(message: string, lines: string[], options?: ErrorOptions) {
    super(message, options);
    this.lines = lines;
  }
}

/** Resolves when the program is up for the first time. Disposing of it stops the program and waits for its end. */
export async function superviseChild(options: ChildOptions): Promise<AsyncDisposable> {
  const stop = new AbortController();
  let child = await start(options);
  const supervision = (async () => {
    let wait = options.restartDelayMs ?? 500;
    while (true) {
      const startedAt = Date.now();
      if (isRunning(child)) await once(child, "exit");
      if (stop.signal.aborted) return;
      if (Date.now() - startedAt > healthyMs) wait = options.restartDelayMs ?? 500;
      options.log.warn(`${nameOf(options)} ended (${ending(child)}); starting it again in ${wait / 1000} s`);
      await delay(wait, undefined, { signal: stop.signal }).catch(() => {});
      if (stop.signal.aborted) return;
      wait = Math.min(wait * 2, restartDelayMaxMs);
      child = await start(options).catch((error: ChildStartError) => {
        options.log.error(error.message);
        return child;
      });
      if (stop.signal.aborted) return;
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await stopChild(child);
      await supervision;
      // It may have been in the middle of a restart.
      await stopChild(child);
    },
  };
}

async function start(options: ChildOptions): Promise<ChildProcess> {
  const { command, args, input, readyTimeoutMs = 10_000 } = options;
  const env = {
    ...process.env,
    PATH: `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`,
    LC_ALL: "C",
  };
  const child = spawn(command, args, {
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    env,
  });
  // That it has ended before it has read everything shows when it ends.
  child.stdin?.on("error", () => {}).write(input);
  const ready = Promise.withResolvers<void>();
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on("line", (line) => {
      if (said.length < 20) said.push(line);
      options.onLine(line);
      if (options.isReady(line)) ready.resolve();
    });
  }
  const fail = (cause: string, error?: Error) =>
    ready.reject(new ChildStartError(`${nameOf(options)} does not start: ${cause}`, said, { cause: error }));
  child.on("error", (error) => fail(error.message, error));
  child.on("close", () => fail(said.at(-1) ?? ending(child)));
  const timer = setTimeout(() => fail(`not ready within ${readyTimeoutMs / 1000} s`), readyTimeoutMs);
  try {
    await ready.promise;
    return child;
  } catch (error) {
    await stopChild(child);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

const nameOf = ({ name, command }: ChildOptions): string => name ?? command;

async function stopChild(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
  await ended;
  clearTimeout(timer);
}

const isRunning = (child: ChildProcess): boolean =>
  child.pid !== undefined && child.exitCode === null && child.signalCode === null;

const ending = (child: ChildProcess): string =>
  child.signalCode ? `signal ${child.signalCode}` : `exit code ${child.exitCode}`;
